#include "lib/backend/cpu/attention_head.h"

#include "lib/backend/cpu/attention_loops.h"
#include "lib/backend/cpu/onednn.h"
#include "lib/backend/cpu/primitive_cache.h"

namespace trainer::cpu {
namespace {

using Desc = dnnl::memory::desc;
constexpr bool kTransposed = true;

Key key(const Head& at) {
  return {at.length, at.width, at.packed_stride, at.plain_stride, static_cast<int64_t>(at.type)};
}

Desc matrix(int64_t rows, int64_t columns, int64_t row_stride, bool transposed, DType t) {
  return transposed ? strided({columns, rows}, {1, row_stride}, t)
                    : strided({rows, columns}, {row_stride, 1}, t);
}
/// q, k, v or their gradients; y or dy; scores or probabilities of a dtype. Each as it is, or transposed.
Desc packed(const Head& at, bool transposed = false) {
  return matrix(at.length, at.width, at.packed_stride, transposed, at.type);
}
Desc plain(const Head& at, bool transposed = false) {
  return matrix(at.length, at.width, at.plain_stride, transposed, at.type);
}
Desc scores(const Head& at, DType t, bool transposed = false) {
  return matrix(at.length, at.length, at.stride(), transposed, t);
}

Primitive product(const Desc& a, const Desc& b, const Desc& c) {
  const auto pd = forward_desc<dnnl::matmul>(a, b, Desc(), c);
  return {
      dnnl::matmul(pd), {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}}, pd.scratchpad_desc()};
}

/// scale q k^T + bias + mask into s; returns the scale that is left to apply.
float compute_scores(const Head& at, Primitive& product, const Packed& in, const Terms& terms, float* s) {
  product.run({in.q.data, in.k.data, s});
  if (terms.bias == nullptr && terms.mask == nullptr) return terms.scale;
  add_terms(s, at.length, at.stride(), terms.scale, terms.bias, terms.mask);
  return 1;
}

}  // namespace

ScoreSpace::ScoreSpace(const Head& at, int64_t count)
    : size_(at.length * at.stride()),
      f32_(static_cast<size_t>(count * size_) * sizeof(float), Device{}),
      narrow_(at.type == DType::f32 ? Storage()
                                    : Storage(static_cast<size_t>(size_) * size_of(at.type), Device{})),
      type_(at.type) {}

Elements ScoreSpace::operand(int64_t i) const {
  Elements e(f32(i));
  if (!narrow_) return e;
  e.data = narrow_.data();
  e.dtype = type_;
  return e;
}

struct HeadForward::Plan {
  Primitive scores, output;

  static Plan& of(const Head& at) {
    return cached<Plan>(key(at), [&] {
      return Plan{product(packed(at), packed(at, kTransposed), cpu::scores(at, DType::f32)),
                  product(cpu::scores(at, at.type), packed(at), plain(at))};
    });
  }
};

HeadForward::HeadForward(const Head& at) : head_(at), space_(at, 1), plan_(Plan::of(at)) {}

void HeadForward::run(const Packed& in, const Terms& terms, const Elements& y, float* lse) const {
  float* s = space_.f32(0);
  const Elements p = space_.operand(0);
  const float rest = compute_scores(head_, plan_.scores, in, terms, s);
  softmax(s, head_.length, head_.stride(), rest, p, lse);
  plan_.output.run({p.data, in.v.data, y.data});
}

struct HeadBackward::Plan {
  Primitive scores, dv, dp, dq, dk;

  static Plan& of(const Head& at) {
    return cached<Plan>(key(at), [&] {
      const Desc q = packed(at), k = q, v = q;
      const Desc square = cpu::scores(at, DType::f32), transposed = cpu::scores(at, at.type, kTransposed);
      return Plan{.scores = product(q, packed(at, kTransposed), square),
                  .dv = product(transposed, plain(at), v),
                  .dp = product(plain(at), packed(at, kTransposed), square),
                  .dq = product(cpu::scores(at, at.type), k, q),
                  .dk = product(transposed, q, k)};
    });
  }
};

HeadBackward::HeadBackward(const Head& at) : head_(at), space_(at, 2), plan_(Plan::of(at)) {}

void HeadBackward::run(const Packed& in, const Terms& terms, const Elements& y, const Elements& dy,
                       const float* lse, const Packed& gradients, float* dbias) const {
  const int64_t length = head_.length, stride = head_.stride();
  float *p = space_.f32(0), *dp = space_.f32(1);
  const float rest = compute_scores(head_, plan_.scores, in, terms, p);
  const Elements narrow_p = space_.operand(0);
  probabilities(p, length, stride, rest, lse, narrow_p);
  plan_.dv.run({narrow_p.data, dy.data, gradients.v.data});
  plan_.dp.run({dy.data, in.v.data, dp});
  const Elements ds = space_.operand(1);
  score_gradients(p, dp, dy, y, head_.plain_stride, head_.width, length, stride, terms.scale, ds, dbias);
  plan_.dq.run({ds.data, in.k.data, gradients.q.data});
  plan_.dk.run({ds.data, in.q.data, gradients.k.data});
}

BackwardChunks::BackwardChunks(int64_t samples, int64_t heads, int64_t length, float* dbias)
    : samples_(samples), heads_(heads), square_(length * length), dbias_(dbias) {
  static constexpr int64_t most_chunks = 16;
  chunk_ = dbias == nullptr ? 1 : std::max<int64_t>(1, chunks_of(samples, most_chunks));
  chunks_ = chunks_of(samples, chunk_);
  if (dbias != nullptr)
    partial_ = Storage(static_cast<size_t>(chunks_ * heads_ * square_) * sizeof(float), Device{});
}

float* BackwardChunks::begin_sum(int64_t i) const {
  if (dbias_ == nullptr) return nullptr;
  float* sum = reinterpret_cast<float*>(partial_.data()) + i * square_;
  std::fill_n(sum, square_, 0.0F);
  return sum;
}

void BackwardChunks::combine() const {
  if (dbias_ == nullptr) return;
  const float* sums = reinterpret_cast<const float*>(partial_.data());
  const int64_t all = heads_ * square_;
  parallel_for(all, elementwise_grain / std::max<int64_t>(1, chunks_), [&](int64_t begin, int64_t end) {
    for (int64_t e = begin; e < end; ++e) {
      double sum = 0;
      for (int64_t c = 0; c < chunks_; ++c) sum += sums[c * all + e];
      dbias_[e] = static_cast<float>(sum);
    }
  });
}

}  // namespace trainer::cpu
