// Attention over whole sequences, one (sample, head) after the other on each thread: the products read and
// write the packed tensors in place by strides.
#include "lib/ops/attention.h"

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/attention_head.h"
#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/onednn.h"

namespace trainer::cpu {
namespace {

/// Extents, and where a head's matrices lie in the packed tensors.
struct Layout {
  explicit Layout(const Tensor& qkv)
      : samples(qkv.size(0)),
        length(qkv.size(1)),
        heads(qkv.size(3)),
        width(qkv.size(4)),
        head{length, width, 3 * heads * width, heads * width, qkv.dtype()} {}
  int64_t samples, length, heads, width;
  Head head;

  Packed packed(const Elements& qkv, int64_t n, int64_t h) const {
    const auto part = [&](int64_t i) { return qkv.from(((n * length * 3 + i) * heads + h) * width); };
    return {part(0), part(1), part(2)};
  }
  Elements plain(const Elements& y, int64_t n, int64_t h) const {
    return y.from((n * length * heads + h) * width);
  }
  int64_t row_values(int64_t n, int64_t h) const { return (n * heads + h) * length; }
};

/// What is added to the scores of each sample and head.
struct AllTerms {
  AllTerms(std::string_view op, const Tensor& bias_, const Tensor& mask_, double scale_)
      : bias(floats(op, bias_)),
        mask(floats(op, mask_)),
        masks(mask != nullptr ? mask_.size(0) : 1),
        scale(static_cast<float>(scale_)) {}
  const float *bias, *mask;
  int64_t masks;
  float scale;

  Terms of(const Layout& at, int64_t n, int64_t h) const {
    const int64_t square = at.length * at.length;
    return {scale, bias == nullptr ? nullptr : bias + h * square,
            mask == nullptr ? nullptr : mask + n % masks * square};
  }
};

void forward(const Tensor& qkv, const Tensor& bias, const Tensor& mask, double scale, Tensor& y,
             Tensor& lse) {
  static constexpr auto op = ops::Attention::name;
  if (y.numel() == 0) return;
  const Layout at(qkv);
  const AllTerms terms(op, bias, mask, scale);
  const Elements in(op, qkv), out(op, y);
  float* plse = floats(op, lse);
  parallel_for(at.samples * at.heads, at.head.grain(), [&](int64_t begin, int64_t end) {
    const HeadForward step(at.head);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / at.heads, h = i % at.heads;
      step.run(at.packed(in, n, h), terms.of(at, n, h), at.plain(out, n, h), plse + at.row_values(n, h));
    }
  });
}

void backward(const Tensor& dy, const Tensor& qkv, const Tensor& bias, const Tensor& mask, double scale,
              const Tensor& y, const Tensor& lse, Tensor& dqkv, Tensor& dbias) {
  static constexpr auto op = ops::AttentionBackward::name;
  float* pdbias = floats(op, dbias);
  if (qkv.numel() == 0) {
    if (dbias.defined()) dbias.zero();
    return;
  }
  const Layout at(qkv);
  const AllTerms terms(op, bias, mask, scale);
  const Elements g(op, dy), in(op, qkv), out(op, y), din(op, dqkv);
  const float* plse = floats(op, lse);
  BackwardChunks(at.samples, at.heads, at.length, pdbias).run(at.head.grain(), [&] {
    return [&, step = HeadBackward(at.head)](int64_t n, int64_t h, float* sum) {
      step.run(at.packed(in, n, h), terms.of(at, n, h), at.plain(out, n, h), at.plain(g, n, h),
               plse + at.row_values(n, h), at.packed(din, n, h), sum);
    };
  });
}

[[maybe_unused]] const bool added[] = {
    add_kernel<ops::Attention, forward, native_in_onednn>(),
    add_kernel<ops::AttentionBackward, backward, native_in_onednn>(),
};

}  // namespace
}  // namespace trainer::cpu
