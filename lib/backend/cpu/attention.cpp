// Attention, one (sample, head) after the other on each thread: its matrices of scores stay in the second
// level of cache between oneDNN's products, which read and write the packed tensors in place by strides.
#include "lib/ops/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/onednn.h"
#include "lib/backend/cpu/parallel.h"
#include "lib/backend/cpu/primitive_cache.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/attention.cpp"
#include "lib/backend/cpu/simd.h"
// after simd.h, which decides on the instruction set
#include <hwy/contrib/math/math-inl.h>

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {
namespace {

/// Rows of scores are padded to whole vectors of this type, so loops over them have no remainder.
using Padded = hn::CappedTag<float, 16>;

template <class F>
HWY_INLINE void for_padded(int64_t stride, const F& f) {
  const Padded d;
  for (int64_t i = 0; i < stride; i += static_cast<int64_t>(hn::Lanes(d))) f(d, i);
}

/// s = scale s + bias + mask; bias and mask [length, length], or null.
void add_terms(float* s, int64_t length, int64_t stride, float scale, const float* bias, const float* mask) {
  for (int64_t r = 0; r < length; ++r, s += stride) {
    for_vectors(0, length, [&](auto d, int64_t i) HWY_ATTR {
      auto v = hn::Mul(hn::LoadU(d, s + i), hn::Set(d, scale));
      if (bias != nullptr) v = hn::Add(v, hn::LoadU(d, bias + r * length + i));
      if (mask != nullptr) v = hn::Add(v, hn::LoadU(d, mask + r * length + i));
      hn::StoreU(v, d, s + i);
    });
  }
}

/// Probabilities of the scores scale s, and the logarithm of each row's sum; p may be s.
template <class T>
void softmax_rows(float* s, int64_t length, int64_t stride, float scale, T* p, float* lse) {
  const Padded d;
  constexpr float infinity = std::numeric_limits<float>::infinity();
  for (int64_t r = 0; r < length; ++r, s += stride, p += stride) {
    std::fill(s + length, s + stride, -infinity);
    auto top = hn::Set(d, -infinity);
    for_padded(stride, [&](auto, int64_t i) HWY_ATTR { top = hn::Max(top, hn::LoadU(d, s + i)); });
    const float largest = scale * hn::GetLane(hn::MaxOfLanes(d, top));
    auto sums = hn::Zero(d);
    for_padded(stride, [&](auto, int64_t i) HWY_ATTR {
      const auto e = hn::Exp(d, hn::MulSub(hn::LoadU(d, s + i), hn::Set(d, scale), hn::Set(d, largest)));
      hn::StoreU(e, d, s + i);
      sums = hn::Add(sums, e);
    });
    const float sum = hn::GetLane(hn::SumOfLanes(d, sums));
    for_padded(stride, [&](auto, int64_t i) HWY_ATTR {
      store(hn::Mul(hn::LoadU(d, s + i), hn::Set(d, 1.0F / sum)), d, p + i);
    });
    lse[r] = largest + std::log(sum);
  }
}

void softmax(float* s, int64_t length, int64_t stride, float scale, const Elements& p, float* lse) {
  with_element(p.dtype, [&]<class T>(T) HWY_ATTR { softmax_rows(s, length, stride, scale, p.as<T>(), lse); });
}

/// The same probabilities again: s = exp(scale s - lse), and p a copy of it.
template <class T>
void probabilities_of(float* s, int64_t length, int64_t stride, float scale, const float* lse, T* p) {
  for (int64_t r = 0; r < length; ++r, s += stride, p += stride) {
    for_padded(stride, [&](auto d, int64_t i) HWY_ATTR {
      const auto e = hn::Exp(d, hn::MulSub(hn::LoadU(d, s + i), hn::Set(d, scale), hn::Set(d, lse[r])));
      hn::StoreU(e, d, s + i);
      if constexpr (!std::is_same_v<T, float>) store(e, d, p + i);
    });
  }
}

void probabilities(float* s, int64_t length, int64_t stride, float scale, const float* lse,
                   const Elements& p) {
  with_element(p.dtype,
               [&]<class T>(T) HWY_ATTR { probabilities_of(s, length, stride, scale, lse, p.as<T>()); });
}

/// dS = p (dP - dy . y), a row of dy and y [width] for each row of scores: added to dbias [length, length] if
/// there is one, and scale dS to ds, which may be dp.
template <class T>
void score_gradients_of(const float* p, const float* dp, const T* dy, const T* y, int64_t y_stride,
                        int64_t width, int64_t length, int64_t stride, float scale, T* ds, float* dbias) {
  for (int64_t r = 0; r < length; ++r, p += stride, dp += stride, ds += stride) {
    float delta = 0;
    for_vectors(0, width, [&](auto d, int64_t i) HWY_ATTR {
      const int64_t at = r * y_stride + i;
      delta += hn::GetLane(hn::SumOfLanes(d, hn::Mul(load(d, dy + at), load(d, y + at))));
    });
    const auto gradient = [&](auto d, int64_t i) HWY_ATTR {
      return hn::Mul(hn::LoadU(d, p + i), hn::Sub(hn::LoadU(d, dp + i), hn::Set(d, delta)));
    };
    if (dbias != nullptr) {
      float* row = dbias + r * length;
      for_vectors(0, length, [&](auto d, int64_t i) HWY_ATTR {
        hn::StoreU(hn::Add(hn::LoadU(d, row + i), gradient(d, i)), d, row + i);
      });
    }
    for_padded(stride, [&](auto d, int64_t i)
                           HWY_ATTR { store(hn::Mul(gradient(d, i), hn::Set(d, scale)), d, ds + i); });
  }
}

void score_gradients(const float* p, const float* dp, const Elements& dy, const Elements& y, int64_t y_stride,
                     int64_t width, int64_t length, int64_t stride, float scale, const Elements& ds,
                     float* dbias) {
  with_element(ds.dtype, [&]<class T>(T) HWY_ATTR {
    score_gradients_of(p, dp, dy.as<const T>(), y.as<const T>(), y_stride, width, length, stride, scale,
                       ds.as<T>(), dbias);
  });
}

}  // namespace
}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu {
namespace {

HWY_EXPORT(add_terms);
HWY_EXPORT(softmax);
HWY_EXPORT(probabilities);
HWY_EXPORT(score_gradients);

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
        f32_(static_cast<size_t>(count * size_) * sizeof(float), Device{}),
        narrow_(at.type == DType::f32 ? Storage()
                                      : Storage(static_cast<size_t>(size_) * size_of(at.type), Device{})),
        type_(at.type) {}
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
    HWY_DYNAMIC_DISPATCH(add_terms)
    (s, at.length, at.stride, scale, bias == nullptr ? nullptr : bias + h * square,
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
  parallel_for(at.samples * at.heads, at.grain(), [&](int64_t begin, int64_t end) {
    const ThreadScope one(1);  // a product has this thread alone
    const Workspace space(at, 1);
    ForwardPlan& plan = ForwardPlan::of(at);
    const Elements p = space.operand(0);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / at.heads, h = i % at.heads;
      const float rest = scores.compute(at, plan.scores, in, n, h, space.f32(0));
      HWY_DYNAMIC_DISPATCH(softmax)
      (space.f32(0), at.length, at.stride, rest, p, plse + at.row_values(n, h));
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
    HWY_DYNAMIC_DISPATCH(probabilities)
    (p, at.length, at.stride, rest, lse + at.row_values(n, h), narrow_p);
    plan.dv.run({narrow_p.data, g.data, dqkv.from(at.packed(n, h, kV)).data});
    plan.dp.run({g.data, qkv.from(at.packed(n, h, kV)).data, dp});
    const Elements ds = space.operand(1);
    HWY_DYNAMIC_DISPATCH(score_gradients)
    (p, dp, g, y.from(at.plain(n, h)), at.plain_stride(), at.width, at.length, at.stride, scores.scale, ds,
     dbias);
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
  // The bias' gradient is a sum over samples: chunks that depend on the shape alone, combined in order.
  static constexpr int64_t most_chunks = 16;
  const int64_t chunk = pdbias == nullptr ? 1 : chunks_of(at.samples, most_chunks);
  const int64_t chunks = chunks_of(at.samples, chunk), head = at.length * at.length, all = at.heads * head;
  const Storage partial =
      pdbias == nullptr ? Storage() : Storage(static_cast<size_t>(chunks * all) * sizeof(float), Device{});
  float* sums = reinterpret_cast<float*>(pdbias == nullptr ? nullptr : partial.data());
  parallel_for(chunks * at.heads, chunks_of(at.grain(), chunk), [&](int64_t begin, int64_t end) {
    const ThreadScope one(1);
    const Workspace space(at, 2);
    BackwardPlan& plan = BackwardPlan::of(at);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t first = i / at.heads * chunk, h = i % at.heads;
      float* sum = sums == nullptr ? nullptr : sums + i * head;
      if (sum != nullptr) std::fill_n(sum, head, 0.0F);
      for (int64_t n = first; n < std::min(at.samples, first + chunk); ++n) step.run(plan, space, n, h, sum);
    }
  });
  if (pdbias == nullptr) return;
  parallel_for(all, elementwise_grain / chunks, [&](int64_t begin, int64_t end) {
    for (int64_t e = begin; e < end; ++e) {
      double sum = 0;
      for (int64_t c = 0; c < chunks; ++c) sum += sums[c * all + e];
      pdbias[e] = static_cast<float>(sum);
    }
  });
}

[[maybe_unused]] const bool added[] = {
    add_kernel<ops::Attention, forward, native_in_onednn>(),
    add_kernel<ops::AttentionBackward, backward, native_in_onednn>(),
};

}  // namespace
}  // namespace trainer::cpu
#endif
