#include "lib/ops/relative_position.h"

#include "lib/backend/ref/ref.h"

namespace trainer::ref {
namespace {

/// Calls f(element of the bias, element of the table) for every element of the bias.
template <class F>
void for_pairs(int64_t heads, ops::Pair window, const F& f) {
  const int64_t length = window.h * window.w;
  for (int64_t h = 0; h < heads; ++h) {
    for (int64_t i = 0; i < length; ++i) {
      for (int64_t j = 0; j < length; ++j) {
        const int64_t down = i / window.w - j / window.w + window.h - 1;
        const int64_t right = i % window.w - j % window.w + window.w - 1;
        f((h * length + i) * length + j, (down * (2 * window.w - 1) + right) * heads + h);
      }
    }
  }
}

void forward(const Tensor& table, ops::Pair window, Tensor& bias) {
  visit_real(ops::RelativePositionBias::name, table, [&]<class T>(T) {
    for_pairs(table.size(1), window,
              [&](int64_t to, int64_t from) { bias.data<T>()[to] = table.data<T>()[from]; });
  });
}

void backward(const Tensor& dbias, ops::Pair window, Tensor& dtable) {
  visit_real(ops::RelativePositionBiasBackward::name, dbias, [&]<class T>(T) {
    Sums sums = sums_for(dtable);
    for_pairs(dtable.size(1), window,
              [&](int64_t from, int64_t to) { sums[static_cast<size_t>(to)] += dbias.data<T>()[from]; });
    store<T>(sums, dtable);
  });
}

[[maybe_unused]] const bool added[] = {
    Kernels<ops::RelativePositionBias>::add(Device::Kind::ref, forward),
    Kernels<ops::RelativePositionBiasBackward>::add(Device::Kind::ref, backward),
};

}  // namespace
}  // namespace trainer::ref
