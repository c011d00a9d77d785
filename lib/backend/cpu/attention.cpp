// Attention, one (sample, head) after the other on each thread.
#include "lib/ops/attention.h"

#include <algorithm>

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/attention_head.h"
#include "lib/backend/cpu/backward_chunks.h"
#include "lib/backend/cpu/onednn.h"
#include "lib/backend/cpu/parallel.h"

namespace trainer::cpu {
namespace {

/// Extents, and where a head's matrices lie in the packed tensors.
struct Layout {
  enum Part { kQ, kK, kV };

  Layout(const Tensor& qkv, const Tensor& y)
      : samples(qkv.size(0)),
        queries(y.size(1)),
        length(qkv.size(1)),
        heads(qkv.size(3)),
        width(qkv.size(4)),
        type(qkv.dtype()) {}
  int64_t samples, queries, length, heads, width;
  DType type;

  /// q, k, v or their gradients.
  ElementRows packed(const Elements& qkv, int64_t n, int64_t h, Part part) const {
    return {qkv.from(((n * length * 3 + part) * heads + h) * width), 3 * heads * width, width};
  }
  /// y or dy.
  ElementRows plain(const Elements& y, int64_t n, int64_t h) const {
    return {y.from((n * queries * heads + h) * width), heads * width, width};
  }
  /// Asks for part i of `parts` of a head's matrix before it is needed, so that memory works while others are computed; for
  /// nothing if there is no sample n.
  void prefetch(const ElementRows& m, int64_t rows, int64_t n, int64_t i, int64_t parts) const {
    const int64_t begin = rows * i / parts;
    if (n < samples) prefetch_rows(m.from(begin), rows * (i + 1) / parts - begin);
  }
  void prefetch_packed(const Elements& qkv, int64_t n, int64_t h, int64_t i, int64_t parts) const {
    prefetch(packed(qkv, n, h, kQ), queries, n, i, parts);
    for (const Part part : {kK, kV}) prefetch(packed(qkv, n, h, part), length, n, i, parts);
  }
  void prefetch_plain(const Elements& y, int64_t n, int64_t h, int64_t i, int64_t parts) const {
    prefetch(plain(y, n, h), queries, n, i, parts);
  }
  int64_t row_values(int64_t n, int64_t h) const { return (n * heads + h) * queries; }

  HeadShape shape(HeadShape::Pass pass) const { return {queries, length, width, type, pass}; }
  /// Samples and heads that are worth a thread of their own.
  int64_t grain() const { return 1 + 1'000'000 / std::max<int64_t>(1, 4 * queries * length * width); }
};

/// What is added to the scores of each sample and head.
struct Terms {
  const float *bias, *mask;
  int64_t masks, square;
  float scale;

  Terms(std::string_view op, const Layout& at, const Tensor& bias_, const Tensor& mask_, double scale_)
      : bias(floats(op, bias_)),
        mask(floats(op, mask_)),
        masks(mask != nullptr ? mask_.size(0) : 1),
        square(at.length * at.length),
        scale(static_cast<float>(scale_)) {}
  ScoreTerms of(int64_t n, int64_t h) const {
    return {scale, bias == nullptr ? nullptr : bias + h * square,
            mask == nullptr ? nullptr : mask + n % masks * square};
  }
};

void forward(const Tensor& qkv, const Tensor& bias, const Tensor& mask, double scale, Tensor& y,
             Tensor& lse) {
  static constexpr auto op = ops::Attention::name;
  if (y.numel() == 0) return;
  if (has_odd_pairs(qkv.dtype(), qkv.size(4)))
    return in_f32<ops::Attention, forward>(qkv, bias, mask, scale, y, lse);
  const Layout at(qkv, y);
  const Terms terms(op, at, bias, mask, scale);
  const Elements in(op, qkv), out(op, y);
  float* plse = floats(op, lse);
  AttentionHead::reserve(at.shape(HeadShape::Pass::forward));
  parallel_for(at.samples * at.heads, at.grain(), [&](int64_t begin, int64_t end) {
    AttentionHead head(at.shape(HeadShape::Pass::forward));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / at.heads, h = i % at.heads, next = (i + 1) / at.heads;
      head.begin_forward(at.packed(in, n, h, Layout::kK), at.packed(in, n, h, Layout::kV));
      for (int64_t b = 0; b < head.blocks(); ++b) {
        at.prefetch_packed(in, next, (i + 1) % at.heads, b, head.blocks());
        head.forward(head.block(b), at.packed(in, n, h, Layout::kQ), terms.of(n, h),
                     plse + at.row_values(n, h), at.plain(out, n, h));
      }
    }
  });
}

struct Backward {
  const Layout& at;
  const Terms& terms;
  Elements dy, qkv, y, dqkv;
  const float* lse;

  /// One sample and head; dbias [length, length] may be null.
  void run(AttentionHead& head, const BackwardChunks::Head& now, const BackwardChunks::Head& next,
           float* dbias) const {
    const auto [n, h] = now;
    const ElementRows q = at.packed(qkv, n, h, Layout::kQ), g = at.plain(dy, n, h);
    head.begin_backward(at.packed(qkv, n, h, Layout::kK), at.packed(qkv, n, h, Layout::kV));
    for (int64_t b = 0; b < head.blocks(); ++b) {
      at.prefetch_packed(qkv, next.n, next.h, b, head.blocks());
      for (const Elements& of_queries : {y, dy})
        at.prefetch_plain(of_queries, next.n, next.h, b, head.blocks());
      head.backward(head.block(b), {q, at.plain(y, n, h), g}, terms.of(n, h), lse + at.row_values(n, h),
                    dbias, at.packed(dqkv, n, h, Layout::kQ));
    }
    clear_rows(at.packed(dqkv, n, h, Layout::kQ).from(at.queries), at.length - at.queries);
    head.end_backward(q, g, at.packed(dqkv, n, h, Layout::kK), at.packed(dqkv, n, h, Layout::kV));
  }
};

void backward(const Tensor& dy, const Tensor& qkv, const Tensor& bias, const Tensor& mask, double scale,
              const Tensor& y, const Tensor& lse, Tensor& dqkv, Tensor& dbias) {
  static constexpr auto op = ops::AttentionBackward::name;
  float* pdbias = floats(op, dbias);
  if (qkv.numel() == 0) {
    if (dbias.defined()) dbias.zero();
    return;
  }
  if (has_odd_pairs(qkv.dtype(), qkv.size(4)))
    return in_f32<ops::AttentionBackward, backward>(dy, qkv, bias, mask, scale, y, lse, dqkv, dbias);
  const Layout at(qkv, y);
  const Terms terms(op, at, bias, mask, scale);
  const Backward step{
      at, terms, Elements(op, dy), Elements(op, qkv), Elements(op, y), Elements(op, dqkv), floats(op, lse)};
  AttentionHead::reserve(at.shape(HeadShape::Pass::backward));
  BackwardChunks(at.samples, at.heads, at.length, pdbias).run(at.grain(), [&] {
    return [&step, head = AttentionHead(at.shape(HeadShape::Pass::backward))](
               const auto& now, const auto& next, float* sum) mutable { step.run(head, now, next, sum); };
  });
}

[[maybe_unused]] const bool added[] = {
    add_kernel<ops::Attention, forward, native_in_onednn>(),
    add_kernel<ops::AttentionBackward, backward, native_in_onednn>(),
};

}  // namespace
}  // namespace trainer::cpu
