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

  explicit Layout(const Tensor& qkv)
      : samples(qkv.size(0)),
        length(qkv.size(1)),
        heads(qkv.size(3)),
        width(qkv.size(4)),
        type(qkv.dtype()) {}
  int64_t samples, length, heads, width;
  DType type;

  /// q, k, v or their gradients.
  ElementRows packed(const Elements& qkv, int64_t n, int64_t h, Part part) const {
    return {qkv.from(((n * length * 3 + part) * heads + h) * width), 3 * heads * width, width};
  }
  /// y or dy.
  ElementRows plain(const Elements& y, int64_t n, int64_t h) const {
    return {y.from((n * length * heads + h) * width), heads * width, width};
  }
  /// Asks for a head's matrix before it is needed; for none if there is no sample n.
  void prefetch(const ElementRows& m, int64_t n) const {
    if (n < samples) prefetch_rows(m, length);
  }
  int64_t row_values(int64_t n, int64_t h) const { return (n * heads + h) * length; }

  HeadShape shape(HeadShape::Pass pass) const { return {length, width, type, pass}; }
  /// Samples and heads that are worth a thread of their own.
  int64_t grain() const { return 1 + 1'000'000 / std::max<int64_t>(1, 4 * length * length * width); }
};

/// What is added to the scores of each sample and head.
struct Terms {
  const float *bias, *mask;
  int64_t masks;
  float scale;

  Terms(std::string_view op, const Tensor& bias_, const Tensor& mask_, double scale_)
      : bias(floats(op, bias_)),
        mask(floats(op, mask_)),
        masks(mask != nullptr ? mask_.size(0) : 1),
        scale(static_cast<float>(scale_)) {}

  /// scores = scale scores + bias + mask; returns the scale that is left to apply.
  float add(AttentionHead& head, int64_t length, int64_t n, int64_t h) const {
    if (bias == nullptr && mask == nullptr) return scale;
    const int64_t square = length * length;
    add_terms(head.scores(), length, head.along(), scale, bias == nullptr ? nullptr : bias + h * square,
              mask == nullptr ? nullptr : mask + n % masks * square);
    return 1;
  }
};

void forward(const Tensor& qkv, const Tensor& bias, const Tensor& mask, double scale, Tensor& y,
             Tensor& lse) {
  static constexpr auto op = ops::Attention::name;
  if (y.numel() == 0) return;
  if (has_odd_pairs(qkv.dtype(), qkv.size(4)))
    return in_f32<ops::Attention, forward>(qkv, bias, mask, scale, y, lse);
  const Layout at(qkv);
  const Terms terms(op, bias, mask, scale);
  const Elements in(op, qkv), out(op, y);
  float* plse = floats(op, lse);
  AttentionHead::reserve(at.shape(HeadShape::Pass::forward));
  parallel_for(at.samples * at.heads, at.grain(), [&](int64_t begin, int64_t end) {
    AttentionHead head(at.shape(HeadShape::Pass::forward));
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / at.heads, h = i % at.heads;
      const auto prefetch_next = [&](Layout::Part p) {
        const int64_t next = (i + 1) / at.heads;
        at.prefetch(at.packed(in, next, (i + 1) % at.heads, p), next);
      };
      const ElementRows v = at.packed(in, n, h, Layout::kV);
      // What a step reads is asked for before the product that goes before it, so that memory works meanwhile.
      at.prefetch(v, n);
      head.multiply(at.packed(in, n, h, Layout::kQ), at.packed(in, n, h, Layout::kK));
      head.softmax(terms.add(head, at.length, n, h), plse + at.row_values(n, h));
      prefetch_next(Layout::kQ);
      prefetch_next(Layout::kK);
      const float* rows = head.output(v);
      write_rows(rows, head.across(), head.factors(), at.length, at.plain(out, n, h));
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
    const int64_t n = now.n, h = now.h;  // clang before 16 captures no structured bindings
    const auto prefetch_next = [&](Layout::Part p) {
      at.prefetch(at.packed(qkv, next.n, next.h, p), next.n);
    };
    const auto part = [&](Layout::Part p) { return at.packed(qkv, n, h, p); };
    const auto write = [&](const float* rows, Layout::Part p) {
      write_rows(rows, head.across(), nullptr, at.length, at.packed(dqkv, n, h, p));
    };
    const ElementRows q = part(Layout::kQ), k = part(Layout::kK), v = part(Layout::kV),
                      g = at.plain(dy, n, h), out = at.plain(y, n, h);
    // What a step reads is asked for before the product that goes before it, so that memory works meanwhile.
    at.prefetch(g, n);
    head.multiply(q, k);
    head.probabilities(terms.add(head, at.length, n, h), lse + at.row_values(n, h));
    at.prefetch(out, n);
    at.prefetch(v, n);
    write(head.dv(g), Layout::kV);
    head.score_gradients(g, v, out, terms.scale, dbias);
    prefetch_next(Layout::kQ);
    write(head.dq(k), Layout::kQ);
    prefetch_next(Layout::kK);
    write(head.dk(q), Layout::kK);
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
  const Layout at(qkv);
  const Terms terms(op, bias, mask, scale);
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
