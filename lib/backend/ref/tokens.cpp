#include "lib/ops/tokens.h"

#include "lib/backend/ref/ref.h"

namespace trainer::ref {
namespace {

void embed(const Tensor& x, const Tensor& first, const Tensor& position, Tensor& y) {
  const int64_t length = y.size(1), width = y.size(2), before = length - x.size(1);
  visit_real(ops::EmbedTokens::name, x, [&]<class T>(T) {
    T* out = y.data<T>();
    for (int64_t n = 0; n < y.size(0); ++n) {
      for (int64_t l = 0; l < length; ++l) {
        const T* token =
            l < before ? first.data<T>() + l * width : x.data<T>() + (n * x.size(1) + l - before) * width;
        for (int64_t d = 0; d < width; ++d) *out++ = token[d] + position.data<T>()[l * width + d];
      }
    }
  });
}

void embed_backward(const Tensor& dy, int64_t first, Tensor& dx, Tensor& dfirst, Tensor& dposition) {
  const int64_t length = dy.size(1), width = dy.size(2);
  visit_real(ops::EmbedTokensBackward::name, dy, [&]<class T>(T) {
    Sums sums(static_cast<size_t>(length * width));
    for (int64_t n = 0; n < dy.size(0); ++n) {
      for (int64_t e = 0; e < length * width; ++e) {
        const T g = dy.data<T>()[n * length * width + e];
        sums[static_cast<size_t>(e)] += g;
        if (dx.defined() && e >= first * width)
          dx.data<T>()[n * (length - first) * width + e - first * width] = g;
      }
    }
    if (dposition.defined()) store<T>(sums, dposition);
    sums.resize(static_cast<size_t>(first * width));
    if (dfirst.defined()) store<T>(sums, dfirst);
  });
}

void slice(const Tensor& x, int64_t begin, Tensor& y) {
  const int64_t width = x.size(2), count = y.size(1) * width;
  visit_real(ops::SliceTokens::name, x, [&]<class T>(T) {
    for (int64_t n = 0; n < x.size(0); ++n) {
      for (int64_t e = 0; e < count; ++e)
        y.data<T>()[n * count + e] = x.data<T>()[(n * x.size(1) + begin) * width + e];
    }
  });
}

void slice_backward(const Tensor& dy, int64_t begin, Tensor& dx) {
  const int64_t width = dx.size(2), count = dy.size(1) * width;
  dx.zero();
  visit_real(ops::SliceTokensBackward::name, dy, [&]<class T>(T) {
    for (int64_t n = 0; n < dx.size(0); ++n) {
      for (int64_t e = 0; e < count; ++e)
        dx.data<T>()[(n * dx.size(1) + begin) * width + e] = dy.data<T>()[n * count + e];
    }
  });
}

constexpr auto ref = Device::Kind::ref;
[[maybe_unused]] const bool added[] = {
    Kernels<ops::EmbedTokens>::add(ref, embed),
    Kernels<ops::EmbedTokensBackward>::add(ref, embed_backward),
    Kernels<ops::SliceTokens>::add(ref, slice),
    Kernels<ops::SliceTokensBackward>::add(ref, slice_backward),
};

}  // namespace
}  // namespace trainer::ref
