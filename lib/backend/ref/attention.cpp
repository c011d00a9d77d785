#include "lib/ops/attention.h"

#include "lib/backend/ref/attention_loops.h"

namespace trainer::ref {
namespace {

/// Sequences one after the other: [samples, length] rows.
template <class T>
struct Sequences {
  Sequences(const Tensor& qkv, const Tensor& mask)
      : samples(qkv.size(0)),
        length(qkv.size(1)),
        heads(qkv.size(3)),
        width(qkv.size(4)),
        masks(mask.defined() ? mask.size(0) : 0),
        values(mask.defined() ? mask.data<T>() : nullptr) {}
  int64_t samples, length, heads, width, masks;
  const T* values;

  static int64_t row(int64_t n, int64_t token, int64_t tokens) { return n * tokens + token; }
  double mask(int64_t n, int64_t i, int64_t j) const {
    return masks == 0 ? 0 : values[((n % masks) * length + i) * length + j];
  }
};

void forward(const Tensor& qkv, const Tensor& bias, const Tensor& mask, double scale, Tensor& y,
             Tensor& lse) {
  visit_real(ops::Attention::name, qkv, [&]<class T>(T) {
    const Sequences<T> at(qkv, mask);
    AttentionLoops<T, Sequences<T>>{at, qkv, bias, scale, y.size(1)}.forward(y, lse);
  });
}

void backward(const Tensor& dy, const Tensor& qkv, const Tensor& bias, const Tensor& mask, double scale,
              const Tensor& y, const Tensor& lse, Tensor& dqkv, Tensor& dbias) {
  visit_real(ops::AttentionBackward::name, qkv, [&]<class T>(T) {
    const Sequences<T> at(qkv, mask);
    AttentionLoops<T, Sequences<T>>{at, qkv, bias, scale, y.size(1)}.backward(dy, y, lse, dqkv, dbias);
  });
}

[[maybe_unused]] const bool added[] = {
    Kernels<ops::Attention>::add(Device::Kind::ref, forward),
    Kernels<ops::AttentionBackward>::add(Device::Kind::ref, backward),
};

}  // namespace
}  // namespace trainer::ref
