// Attention in windows, one (window, head) after the other on each thread: q, k and v of a head are gathered
// into a small workspace of f32, where everything is computed, and results are scattered from there.
//
// The products are our own: at 49 tokens of 32 channels it counts what a library does before and after the
// arithmetic. 16-bit tensors are f32 from the gathering on.
#include "lib/ops/window_attention.h"

#include <cstring>

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/attention_loops.h"
#include "lib/backend/cpu/backward_chunks.h"
#include "lib/backend/cpu/window_attention_loops.h"

namespace trainer::cpu {
namespace {

constexpr int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

/// Extents, and where the rows of windows lie.
struct Layout {
  Layout(const Tensor& qkv, const ops::WindowAttentionArgs& args)
      : windows(qkv.shape(), args),
        samples(qkv.size(0) * windows.count()),
        heads(qkv.size(4)),
        width(qkv.size(5)),
        length(windows.length()),
        scale(static_cast<float>(args.scale)) {}
  ops::Windows windows;
  int64_t samples;  ///< windows of all maps
  int64_t heads, width, length;
  float scale;

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

  /// s = scale s + bias + mask; returns the scale that is left to apply.
  float add(int64_t n, int64_t h, float* s) const {
    const int kind = at_.windows.mask_kind(n % at_.windows.count());
    if (bias_ == nullptr && kind == 0) return at_.scale;
    add_terms(s, at_.length, padded(at_.length), at_.scale,
              bias_ == nullptr ? nullptr : bias_ + h * at_.square(),
              kind == 0 ? nullptr : masks() + (kind - 1) * at_.square());
    return 1;
  }

 private:
  float* masks() const { return reinterpret_cast<float*>(masks_.data()); }
  const Layout& at_;
  const float* bias_;
  Storage masks_;
};

/// A thread's matrices of one window and head, and products of them. Rows of channels [length, width] and of
/// scores [length, length], and channels transposed [width, length], are all padded.
class Workspace {
 public:
  /// How many matrices of each kind.
  struct Counts {
    int64_t channels, transposed, scores;
  };
  Workspace(const Layout& at, const Counts& n)
      : at_(at),
        across_(padded(at.width)),
        along_(padded(at.length)),
        transposed_(n.channels * at.length * across_),
        scores_(transposed_ + n.transposed * at.width * along_),
        memory_(static_cast<size_t>(bytes(at, n)), Device{}) {
    std::memset(memory_.data(), 0, memory_.bytes());  // padding: numbers that do not make arithmetic slow
  }

  /// Before threads make theirs.
  static void reserve(const Layout& at, const Counts& n) { reserve_for_threads(bytes(at, n)); }

  float* channels(int64_t i) const { return data() + i * at_.length * across_; }
  float* transposed(int64_t i) const { return data() + transposed_ + i * at_.width * along_; }
  float* scores(int64_t i) const { return data() + scores_ + i * at_.length * along_; }

  /// Matrices [first, first + count) from the tensor [tokens, count, heads, width], and back.
  void gather(const Elements& x, int64_t n, int64_t h, int64_t first, int64_t count) const {
    each_run(n, h, first, count, [&](int64_t at, int64_t stride, int64_t rows, float* y) {
      read_rows(x.from(at), stride, rows, at_.width, y, across_);
    });
  }
  /// What gather() will read of matrix i of `count`; nothing if there is no window n.
  void prefetch(const Elements& x, int64_t n, int64_t h, int64_t i, int64_t count) const {
    if (n >= at_.samples) return;
    const int64_t stride = count * at_.heads * at_.width;
    at_.runs(n, [&](int64_t token, int64_t, int64_t rows) {
      prefetch_rows(x.from(token * stride + (i * at_.heads + h) * at_.width), stride, rows, at_.width);
    });
  }
  void scatter(const Elements& x, int64_t n, int64_t h, int64_t first, int64_t count) const {
    each_run(n, h, first, count, [&](int64_t at, int64_t stride, int64_t rows, const float* y) {
      write_rows(y, across_, rows, at_.width, x.from(at), stride);
    });
  }

  void transpose(const float* x, float* y) const {
    cpu::transpose(x, across_, at_.length, at_.width, y, along_);
  }
  /// s = x y^T, given y^T.
  void scores_of(const float* x, const float* transposed, float* s) const {
    multiply({at_.length, at_.length, at_.width, across_, 1, along_, along_}, x, transposed, s);
  }
  /// y = s x
  void apply(const float* s, const float* x, float* y) const {
    multiply({at_.length, at_.width, at_.length, along_, 1, across_, across_}, s, x, y);
  }
  /// y = s^T x
  void apply_transposed(const float* s, const float* x, float* y) const {
    multiply({at_.length, at_.width, at_.length, 1, along_, across_, across_}, s, x, y);
  }

  int64_t across() const { return across_; }
  int64_t along() const { return along_; }

 private:
  static int64_t bytes(const Layout& at, const Counts& n) {
    const int64_t across = padded(at.width), along = padded(at.length);
    const int64_t floats =
        n.channels * at.length * across + n.transposed * at.width * along + n.scores * at.length * along;
    return floats * static_cast<int64_t>(sizeof(float));
  }
  float* data() const { return reinterpret_cast<float*>(memory_.data()); }
  template <class F>
  void each_run(int64_t n, int64_t h, int64_t first, int64_t count, const F& f) const {
    const int64_t stride = count * at_.heads * at_.width;
    at_.runs(n, [&](int64_t token, int64_t row, int64_t rows) {
      for (int64_t i = 0; i < count; ++i) {
        f(token * stride + (i * at_.heads + h) * at_.width, stride, rows,
          channels(first + i) + row * across_);
      }
    });
  }
  const Layout& at_;
  int64_t across_, along_, transposed_, scores_;
  Storage memory_;
};

void forward(const Tensor& qkv, const Tensor& bias, const ops::WindowAttentionArgs& args, Tensor& y,
             Tensor& lse) {
  static constexpr auto op = ops::WindowAttention::name;
  if (y.numel() == 0) return;
  const Layout at(qkv, args);
  const Terms terms(op, at, bias);
  const Elements in(op, qkv), out(op, y);
  float* plse = floats(op, lse);
  static constexpr Workspace::Counts counts{.channels = 4, .transposed = 1, .scores = 1};
  Workspace::reserve(at, counts);
  parallel_for(at.samples * at.heads, at.grain(), [&](int64_t begin, int64_t end) {
    const Workspace space(at, counts);
    float *q = space.channels(0), *k = space.channels(1), *v = space.channels(2), *py = space.channels(3);
    float *transposed = space.transposed(0), *s = space.scores(0);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / at.heads, h = i % at.heads;
      space.gather(in, n, h, 0, 3);
      // Between the products, so that memory works while they do.
      const auto prefetch = [&](int64_t part) {
        space.prefetch(in, (i + 1) / at.heads, (i + 1) % at.heads, part, 3);
      };
      space.transpose(k, transposed);
      space.scores_of(q, transposed, s);
      prefetch(0);
      const float rest = terms.add(n, h, s);
      softmax(s, at.length, space.along(), rest, Elements(s), plse + at.row_values(n, h));
      prefetch(1);
      space.apply(s, v, py);
      prefetch(2);
      space.scatter(out, n, h, 3, 1);
    }
  });
}

struct Backward {
  const Layout& at;
  const Terms& terms;
  Elements dy, qkv, y, dqkv;
  const float* lse;

  /// One window and head; dbias [length, length] may be null.
  void run(const Workspace& space, int64_t n, int64_t h, float* dbias) const {
    const float *q = space.channels(0), *k = space.channels(1), *v = space.channels(2),
                *py = space.channels(3), *g = space.channels(4);
    float *dq = space.channels(5), *dk = space.channels(6), *dv = space.channels(7);
    float *transposed = space.transposed(0), *p = space.scores(0), *ds = space.scores(1);
    space.gather(qkv, n, h, 0, 3);
    space.gather(y, n, h, 3, 1);
    space.gather(dy, n, h, 4, 1);
    space.prefetch(y, n + 1, h, 0, 1);
    space.transpose(k, transposed);
    space.scores_of(q, transposed, p);
    space.prefetch(dy, n + 1, h, 0, 1);
    const float rest = terms.add(n, h, p);
    probabilities(p, at.length, space.along(), rest, lse + at.row_values(n, h), Elements(p));
    space.apply_transposed(p, g, dv);
    space.prefetch(qkv, n + 1, h, 0, 3);
    space.transpose(v, transposed);
    space.scores_of(g, transposed, ds);
    space.prefetch(qkv, n + 1, h, 1, 3);
    score_gradients(p, ds, Elements(g), Elements(py), space.across(), at.width, at.length, space.along(),
                    at.scale, Elements(ds), dbias);
    space.apply(ds, k, dq);
    space.prefetch(qkv, n + 1, h, 2, 3);
    space.apply_transposed(ds, q, dk);
    space.scatter(dqkv, n, h, 5, 3);
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
  const Layout at(qkv, args);
  const Terms terms(op, at, bias);
  const Backward step{
      at, terms, Elements(op, dy), Elements(op, qkv), Elements(op, y), Elements(op, dqkv), floats(op, lse)};
  static constexpr Workspace::Counts counts{.channels = 8, .transposed = 1, .scores = 2};
  Workspace::reserve(at, counts);
  BackwardChunks(at.samples, at.heads, at.length, pdbias).run(at.grain(), [&] {
    return [&step, space = Workspace(at, counts)](int64_t n, int64_t h, float* sum) {
      step.run(space, n, h, sum);
    };
  });
}

[[maybe_unused]] const bool added[] = {
    add_kernel<ops::WindowAttention, forward, f32_and_bf16>(),
    add_kernel<ops::WindowAttentionBackward, backward, f32_and_bf16>(),
};

}  // namespace
}  // namespace trainer::cpu
