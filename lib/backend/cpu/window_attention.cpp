// Attention in windows, one (window, head) after the other on each thread: q, k and v of a head are gathered from the
// map's rows, and results are scattered back.
#include "lib/ops/window_attention.h"

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/attention_head.h"
#include "lib/backend/cpu/backward_chunks.h"
#include "lib/backend/cpu/onednn.h"

namespace trainer::cpu {
namespace {

/// Extents, and where the rows of windows lie.
struct Layout {
  Layout(const Tensor& qkv, const ops::WindowAttentionArgs& args)
      : windows(qkv.shape(), args),
        samples(qkv.size(0) * windows.count()),
        heads(qkv.size(4)),
        width(qkv.size(5)),
        length(windows.length()),
        type(qkv.dtype()),
        scale(static_cast<float>(args.scale)) {}
  ops::Windows windows;
  int64_t samples;  ///< windows of all maps
  int64_t heads, width, length;
  DType type;
  float scale;

  HeadShape shape(HeadShape::Pass pass) const { return {length, length, width, type, pass}; }

  int64_t square() const { return length * length; }
  int64_t row_values(int64_t n, int64_t h) const { return (n * heads + h) * length; }
  /// Windows and heads that are worth a thread of their own.
  int64_t grain() const { return 1 + 1'000'000 / std::max<int64_t>(1, 4 * square() * width); }

  /// Calls f(token of all maps, token of the window, count) for the runs that make up window n.
  template <class F>
  void runs(int64_t n, const F& f) const {
    const int64_t w = n % windows.count(), map = n / windows.count() * windows.height * windows.width;
    const int64_t across = windows.window.w, column = windows.token(w, 0) % windows.width;
    const int64_t before_wrap = std::min(across, windows.width - column);
    for (int64_t i = 0; i < length; i += across) {
      f(map + windows.token(w, i), i, before_wrap);
      if (before_wrap < across)
        f(map + windows.token(w, i + before_wrap), i + before_wrap, across - before_wrap);
    }
  }
};

/// What is added to the scores of each window and head. Masked windows are of three kinds, with a matrix each.
class Terms {
 public:
  Terms(std::string_view op, const Layout& at, const Tensor& bias) : at_(at), bias_(floats(op, bias)) {
    if (at.windows.shift == ops::Pair(0)) return;
    static constexpr int kinds = 3;
    masks_ = Storage(static_cast<size_t>(kinds * at.square()) * sizeof(float), Device{});
    float* mask = masks();
    for (int kind = 1; kind <= kinds; ++kind) {
      for (int64_t i = 0; i < at.length; ++i)
        for (int64_t j = 0; j < at.length; ++j) *mask++ = static_cast<float>(at.windows.mask(kind, i, j));
    }
  }

  ScoreTerms of(int64_t n, int64_t h) const {
    const int kind = at_.windows.mask_kind(n % at_.windows.count());
    return {at_.scale, bias_ == nullptr ? nullptr : bias_ + h * at_.square(),
            kind == 0 ? nullptr : masks() + (kind - 1) * at_.square()};
  }

 private:
  float* masks() const { return reinterpret_cast<float*>(masks_.data()); }
  const Layout& at_;
  const float* bias_;
  Storage masks_;
};

/// Matrix i of `count` of a head in a tensor [tokens, count, heads, width].
struct Matrix {
  Elements tensor;
  int64_t i = 0, count = 1;

  /// From a token on.
  ElementRows rows(const Layout& at, int64_t token, int64_t h) const {
    const int64_t stride = count * at.heads * at.width;
    return {tensor.from(token * stride + (i * at.heads + h) * at.width), stride, at.width};
  }
};

/// A thread's copies [length, width] of `count` matrices.
class Gathered {
 public:
  Gathered(const Layout& at, int64_t count)
      : at_(at), memory_(static_cast<size_t>(bytes(at, count)), Device{}) {}
  /// Before threads make theirs.
  static void reserve(const Layout& at, int64_t count) { reserve_for_threads(bytes(at, count)); }

  /// Copy i.
  ElementRows rows(int64_t i) const {
    Elements e(reinterpret_cast<const float*>(memory_.data() + i * bytes(at_, 1)));
    e.dtype = at_.type;
    return {e, at_.width, at_.width};
  }
  /// Makes copy i, of window n and head h.
  ElementRows gather(int64_t i, const Matrix& m, int64_t n, int64_t h) const {
    const ElementRows to = rows(i);
    at_.runs(n, [&](int64_t token, int64_t row, int64_t count) {
      copy_rows(m.rows(at_, token, h), count, to.from(row));
    });
    return to;
  }
  /// And back.
  void scatter(int64_t i, const Matrix& m, int64_t n, int64_t h) const {
    const ElementRows from = rows(i);
    at_.runs(n, [&](int64_t token, int64_t row, int64_t count) {
      copy_rows(from.from(row), count, m.rows(at_, token, h));
    });
  }

 private:
  static int64_t bytes(const Layout& at, int64_t count) {
    return count * at.length * at.width * static_cast<int64_t>(size_of(at.type));
  }
  const Layout& at_;
  Storage memory_;
};

/// What gather() will read; nothing if there is no window n.
void prefetch(const Layout& at, const Matrix& m, int64_t n, int64_t h) {
  if (n >= at.samples) return;
  at.runs(n, [&](int64_t token, int64_t, int64_t count) { prefetch_rows(m.rows(at, token, h), count); });
}

void forward(const Tensor& qkv, const Tensor& bias, const ops::WindowAttentionArgs& args, Tensor& y,
             Tensor& lse) {
  static constexpr auto op = ops::WindowAttention::name;
  if (y.numel() == 0) return;
  if (has_odd_pairs(qkv.dtype(), qkv.size(5)))
    return in_f32<ops::WindowAttention, forward>(qkv, bias, args, y, lse);
  const Layout at(qkv, args);
  const Terms terms(op, at, bias);
  const Elements in(op, qkv);
  const Matrix q{in, 0, 3}, k{in, 1, 3}, v{in, 2, 3}, out{Elements(op, y)};
  float* plse = floats(op, lse);
  const HeadShape shape = at.shape(HeadShape::Pass::forward);
  AttentionHead::reserve(shape);
  Gathered::reserve(at, 4);
  parallel_for(at.samples * at.heads, at.grain(), [&](int64_t begin, int64_t end) {
    AttentionHead head(shape);
    const Gathered local(at, 4);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / at.heads, h = i % at.heads;
      const ElementRows hq = local.gather(0, q, n, h), hk = local.gather(1, k, n, h),
                        hv = local.gather(2, v, n, h);
      for (const Matrix& m : {q, k, v}) prefetch(at, m, (i + 1) / at.heads, (i + 1) % at.heads);
      head.begin_forward(hk, hv);
      for (int64_t b = 0; b < head.blocks(); ++b)
        head.forward(head.block(b), hq, terms.of(n, h), plse + at.row_values(n, h), local.rows(3));
      local.scatter(3, out, n, h);
    }
  });
}

struct Backward {
  const Layout& at;
  const Terms& terms;
  Matrix dy, q, k, v, y, dq, dk, dv;
  const float* lse;

  static constexpr int64_t matrices = 8;

  /// One window and head; dbias [length, length] may be null.
  void run(AttentionHead& head, const Gathered& local, const BackwardChunks::Head& now,
           const BackwardChunks::Head& next, float* dbias) const {
    const auto [n, h] = now;
    const ElementRows hq = local.gather(0, q, n, h), hk = local.gather(1, k, n, h),
                      hv = local.gather(2, v, n, h), hy = local.gather(3, y, n, h),
                      g = local.gather(4, dy, n, h);
    for (const Matrix& m : {q, k, v, y, dy}) prefetch(at, m, next.n, next.h);
    head.begin_backward(hk, hv);
    for (int64_t b = 0; b < head.blocks(); ++b)
      head.backward(head.block(b), {hq, hy, g}, terms.of(n, h), lse + at.row_values(n, h), dbias,
                    local.rows(5));
    head.end_backward(hq, g, local.rows(6), local.rows(7));
    local.scatter(5, dq, n, h);
    local.scatter(6, dk, n, h);
    local.scatter(7, dv, n, h);
  }
};

void backward(const Tensor& dy, const Tensor& qkv, const Tensor& bias, const ops::WindowAttentionArgs& args,
              const Tensor& y, const Tensor& lse, Tensor& dqkv, Tensor& dbias) {
  static constexpr auto op = ops::WindowAttentionBackward::name;
  float* pdbias = floats(op, dbias);
  if (qkv.numel() == 0) {
    if (dbias.defined()) dbias.zero();
    return;
  }
  if (has_odd_pairs(qkv.dtype(), qkv.size(5)))
    return in_f32<ops::WindowAttentionBackward, backward>(dy, qkv, bias, args, y, lse, dqkv, dbias);
  const Layout at(qkv, args);
  const Terms terms(op, at, bias);
  const Elements in(op, qkv), out(op, dqkv);
  const Backward step{at,          terms,       {Elements(op, dy)}, {in, 0, 3},
                      {in, 1, 3},  {in, 2, 3},  {Elements(op, y)},  {out, 0, 3},
                      {out, 1, 3}, {out, 2, 3}, floats(op, lse)};
  const HeadShape shape = at.shape(HeadShape::Pass::backward);
  AttentionHead::reserve(shape);
  Gathered::reserve(at, Backward::matrices);
  BackwardChunks(at.samples, at.heads, at.length, pdbias).run(at.grain(), [&] {
    return
        [&step, head = AttentionHead(shape), local = Gathered(at, Backward::matrices)](
            const auto& now, const auto& next, float* sum) mutable { step.run(head, local, now, next, sum); };
  });
}

[[maybe_unused]] const bool added[] = {
    add_kernel<ops::WindowAttention, forward, native_in_onednn>(),
    add_kernel<ops::WindowAttentionBackward, backward, native_in_onednn>(),
};

}  // namespace
}  // namespace trainer::cpu
