// Attention, one (sample, head) after the other on each thread: its matrices of scores stay in the second
// level of cache between oneDNN's products, which read and write the packed tensors in place by strides.
#include "lib/ops/attention.h"

#include <algorithm>

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/attention_loops.h"
#include "lib/backend/cpu/backward_chunks.h"
#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/onednn.h"
#include "lib/backend/cpu/parallel.h"
#include "lib/backend/cpu/primitive_cache.h"

namespace trainer::cpu {
namespace {

enum Part { kQ, kK, kV };

/// Extents, and where a head's matrices lie in the packed tensors.
struct Layout {
  explicit Layout(const Tensor& qkv)
      : samples(qkv.size(0)),
        length(qkv.size(1)),
        heads(qkv.size(3)),
        width(qkv.size(4)),
        stride((length + 15) / 16 * 16),
        type(qkv.dtype()) {}
  int64_t samples, length, heads, width;
  int64_t stride;  ///< of rows of scores
  DType type;

  int64_t packed(int64_t n, int64_t h, Part part) const {
    return ((n * length * 3 + part) * heads + h) * width;
  }
  int64_t packed_stride() const { return 3 * heads * width; }
  int64_t plain(int64_t n, int64_t h) const { return (n * length * heads + h) * width; }
  int64_t plain_stride() const { return heads * width; }
  int64_t row_values(int64_t n, int64_t h) const { return (n * heads + h) * length; }

  Key key() const { return {length, heads, width, static_cast<int64_t>(type)}; }
  /// Samples and heads that are worth a thread of their own.
  int64_t grain() const { return 1 + 1'000'000 / std::max<int64_t>(1, 4 * length * length * width); }

  using Desc = dnnl::memory::desc;
  /// q, k, v or their gradients; y or dy; scores or probabilities of a dtype. Each as it is, or transposed.
  Desc head(bool transposed = false) const {
    return matrix(length, width, packed_stride(), transposed, type);
  }
  Desc output(bool transposed = false) const {
    return matrix(length, width, plain_stride(), transposed, type);
  }
  Desc scores(DType t, bool transposed = false) const {
    return matrix(length, length, stride, transposed, t);
  }

 private:
  static Desc matrix(int64_t rows, int64_t columns, int64_t row_stride, bool transposed, DType t) {
    return transposed ? strided({columns, rows}, {1, row_stride}, t)
                      : strided({rows, columns}, {row_stride, 1}, t);
  }
};

constexpr bool kTransposed = true;

Primitive product(const dnnl::memory::desc& a, const dnnl::memory::desc& b, const dnnl::memory::desc& c) {
  const auto pd = forward_desc<dnnl::matmul>(a, b, dnnl::memory::desc(), c);
  return {
      dnnl::matmul(pd), {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_DST, c}}, pd.scratchpad_desc()};
}

struct ForwardPlan {
  Primitive scores, output;

  static ForwardPlan& of(const Layout& at) {
    return cached<ForwardPlan>(at.key(), [&] {
      return ForwardPlan{product(at.head(), at.head(kTransposed), at.scores(DType::f32)),
                         product(at.scores(at.type), at.head(), at.output())};
    });
  }
};

struct BackwardPlan {
  Primitive scores, dv, dp, dq, dk;

  static BackwardPlan& of(const Layout& at) {
    return cached<BackwardPlan>(at.key(), [&] {
      const auto q = at.head(), k = q, v = q;
      const auto transposed = at.scores(at.type, kTransposed);
      return BackwardPlan{.scores = product(q, at.head(kTransposed), at.scores(DType::f32)),
                          .dv = product(transposed, at.output(), v),
                          .dp = product(at.output(), at.head(kTransposed), at.scores(DType::f32)),
                          .dq = product(at.scores(at.type), k, q),
                          .dk = product(transposed, q, k)};
    });
  }
};

/// A thread's matrices [length, stride]: `count` of f32, and one of the activations' dtype for the products
/// to read, which is the last f32 one where the dtypes agree.
class Workspace {
 public:
  Workspace(const Layout& at, int64_t count)
      : size_(at.length * at.stride),
        f32_(static_cast<size_t>(f32_bytes(at, count)), Device{}),
        narrow_(at.type == DType::f32 ? Storage() : Storage(static_cast<size_t>(narrow_bytes(at)), Device{})),
        type_(at.type) {}
  /// Before threads make theirs.
  static void reserve(const Layout& at, int64_t count) {
    reserve_for_threads(f32_bytes(at, count));
    reserve_for_threads(narrow_bytes(at));
  }
  float* f32(int64_t i) const { return reinterpret_cast<float*>(f32_.data()) + i * size_; }
  /// In place of f32 matrix i.
  Elements operand(int64_t i) const {
    Elements e(f32(i));
    if (!narrow_) return e;
    e.data = narrow_.data();
    e.dtype = type_;
    return e;
  }

 private:
  static int64_t f32_bytes(const Layout& at, int64_t count) {
    return count * at.length * at.stride * static_cast<int64_t>(sizeof(float));
  }
  static int64_t narrow_bytes(const Layout& at) {
    return at.type == DType::f32 ? 0 : at.length * at.stride * static_cast<int64_t>(size_of(at.type));
  }

  int64_t size_;
  Storage f32_, narrow_;
  DType type_;
};

/// scale q k^T + bias + mask into s; returns the scale that is left to apply.
struct Scores {
  const float *bias, *mask;
  int64_t masks;
  float scale;

  Scores(std::string_view op, const Tensor& bias_, const Tensor& mask_, double scale_)
      : bias(floats(op, bias_)),
        mask(floats(op, mask_)),
        masks(mask != nullptr ? mask_.size(0) : 1),
        scale(static_cast<float>(scale_)) {}

  float compute(const Layout& at, Primitive& product, const Elements& qkv, int64_t n, int64_t h,
                float* s) const {
    product.run({qkv.from(at.packed(n, h, kQ)).data, qkv.from(at.packed(n, h, kK)).data, s});
    if (bias == nullptr && mask == nullptr) return scale;
    const int64_t square = at.length * at.length;
    add_terms(s, at.length, at.stride, scale, bias == nullptr ? nullptr : bias + h * square,
              mask == nullptr ? nullptr : mask + n % masks * square);
    return 1;
  }
};

void forward(const Tensor& qkv, const Tensor& bias, const Tensor& mask, double scale, Tensor& y,
             Tensor& lse) {
  static constexpr auto op = ops::Attention::name;
  if (y.numel() == 0) return;
  const Layout at(qkv);
  const Scores scores(op, bias, mask, scale);
  const Elements in(op, qkv), out(op, y);
  float* plse = floats(op, lse);
  Workspace::reserve(at, 1);
  parallel_for(at.samples * at.heads, at.grain(), [&](int64_t begin, int64_t end) {
    const ThreadScope one(1);  // a product has this thread alone
    const Workspace space(at, 1);
    ForwardPlan& plan = ForwardPlan::of(at);
    const Elements p = space.operand(0);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / at.heads, h = i % at.heads;
      const float rest = scores.compute(at, plan.scores, in, n, h, space.f32(0));
      softmax(space.f32(0), at.length, at.stride, rest, p, plse + at.row_values(n, h));
      plan.output.run({p.data, in.from(at.packed(n, h, kV)).data, out.from(at.plain(n, h)).data});
    }
  });
}

struct Backward {
  const Layout& at;
  const Scores& scores;
  Elements dy, qkv, y, dqkv;
  const float* lse;

  /// One sample and head; dbias [length, length] may be null.
  void run(BackwardPlan& plan, const Workspace& space, int64_t n, int64_t h, float* dbias) const {
    float *p = space.f32(0), *dp = space.f32(1);
    const Elements g = dy.from(at.plain(n, h));
    const float rest = scores.compute(at, plan.scores, qkv, n, h, p);
    const Elements narrow_p = space.operand(0);
    probabilities(p, at.length, at.stride, rest, lse + at.row_values(n, h), narrow_p);
    plan.dv.run({narrow_p.data, g.data, dqkv.from(at.packed(n, h, kV)).data});
    plan.dp.run({g.data, qkv.from(at.packed(n, h, kV)).data, dp});
    const Elements ds = space.operand(1);
    score_gradients(p, dp, g, y.from(at.plain(n, h)), at.plain_stride(), at.width, at.length, at.stride,
                    scores.scale, ds, dbias);
    plan.dq.run({ds.data, qkv.from(at.packed(n, h, kK)).data, dqkv.from(at.packed(n, h, kQ)).data});
    plan.dk.run({ds.data, qkv.from(at.packed(n, h, kQ)).data, dqkv.from(at.packed(n, h, kK)).data});
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
  const Layout at(qkv);
  const Scores scores(op, bias, mask, scale);
  const Backward step{
      at, scores, Elements(op, dy), Elements(op, qkv), Elements(op, y), Elements(op, dqkv), floats(op, lse)};
  Workspace::reserve(at, 2);
  BackwardChunks(at.samples, at.heads, at.length, pdbias).run(at.grain(), [&] {
    // first the scope: it counts where the plan is made, too
    return [one = ThreadScope(1), &step, &plan = BackwardPlan::of(at), space = Workspace(at, 2)](
               int64_t n, int64_t h, float* sum) { step.run(plan, space, n, h, sum); };
  });
}

[[maybe_unused]] const bool added[] = {
    add_kernel<ops::Attention, forward, native_in_onednn>(),
    add_kernel<ops::AttentionBackward, backward, native_in_onednn>(),
};

}  // namespace
}  // namespace trainer::cpu
