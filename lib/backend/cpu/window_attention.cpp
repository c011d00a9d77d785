// Attention in windows, one (window, head) after the other on each thread: q, k and v of a head are gathered
// into a small workspace, where the products read dense matrices, and results are scattered from there.
#include "lib/ops/window_attention.h"

#include <cstring>

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/attention_head.h"
#include "lib/backend/cpu/floats.h"
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
        head{windows.length(), width, width, width, qkv.dtype()} {}
  ops::Windows windows;
  int64_t samples;  ///< windows of all maps
  int64_t heads, width;
  Head head;

  int64_t square() const { return head.length * head.length; }
  int64_t row_values(int64_t n, int64_t h) const { return (n * heads + h) * head.length; }

  /// Calls f(token of the map, token of the window, count) for the runs that make up window n.
  template <class F>
  void runs(int64_t n, const F& f) const {
    const int64_t w = n % windows.count(), map = n / windows.count() * windows.height * windows.width;
    const int64_t across = windows.window.w;
    const int64_t column = windows.token(w, 0) % windows.width;
    const int64_t before_wrap = std::min(across, windows.width - column);
    for (int64_t i = 0; i < head.length; i += across) {
      f(map + windows.token(w, i), i, before_wrap);
      if (before_wrap < across)
        f(map + windows.token(w, i + before_wrap), i + before_wrap, across - before_wrap);
    }
  }
};

/// Copies `rows` rows of `bytes` each.
void copy_rows(const std::byte* from, int64_t from_stride, std::byte* to, int64_t to_stride, int64_t rows,
               int64_t bytes) {
  const auto copy = [&](size_t n) {
    for (int64_t r = 0; r < rows; ++r) std::memcpy(to + r * to_stride, from + r * from_stride, n);
  };
  switch (bytes) {  // a head of 32 channels: no call for each
    case 64:
      return copy(64);
    case 128:
      return copy(128);
    default:
      return copy(static_cast<size_t>(bytes));
  }
}

/// `parts` matrices of one window and head each, dense.
class Gathered {
 public:
  Gathered(const Layout& at, int64_t parts)
      : at_(at),
        element_(static_cast<int64_t>(size_of(at.head.type))),
        memory_(static_cast<size_t>(parts * at.head.length * at.width * element_), Device{}) {}

  Elements part(int64_t i) const {
    Elements e(nullptr);
    e.data = memory_.data() + i * at_.head.length * at_.width * element_;
    e.dtype = at_.head.type;
    return e;
  }
  Packed packed(int64_t first) const { return {part(first), part(first + 1), part(first + 2)}; }

  /// Parts [first, first + count) from the tensor [rows, count, heads, width], and back.
  void gather(const Elements& from, int64_t n, int64_t h, int64_t first, int64_t count) const {
    move(from, n, h, first, count,
         [](std::byte* map, int64_t map_stride, std::byte* window, int64_t stride, int64_t rows) {
           copy_rows(map, map_stride, window, stride, rows, stride);
         });
  }
  void scatter(const Elements& to, int64_t n, int64_t h, int64_t first, int64_t count) const {
    move(to, n, h, first, count,
         [](std::byte* map, int64_t map_stride, std::byte* window, int64_t stride, int64_t rows) {
           copy_rows(window, stride, map, map_stride, rows, stride);
         });
  }

 private:
  template <class Copy>
  void move(const Elements& map, int64_t n, int64_t h, int64_t first, int64_t count, const Copy& copy) const {
    const int64_t bytes = at_.width * element_, token = count * at_.heads * bytes;
    at_.runs(n, [&](int64_t from, int64_t to, int64_t rows) {
      for (int64_t i = 0; i < count; ++i) {
        copy(static_cast<std::byte*>(map.data) + from * token + (i * at_.heads + h) * bytes, token,
             static_cast<std::byte*>(part(first + i).data) + to * bytes, bytes, rows);
      }
    });
  }

  const Layout& at_;
  int64_t element_;
  Storage memory_;
};

/// What is added to the scores of each window and head. Masked windows are of three kinds, with a matrix each.
class AllTerms {
 public:
  AllTerms(std::string_view op, const Layout& at, const Tensor& bias, double scale)
      : bias_(floats(op, bias)), scale_(static_cast<float>(scale)) {
    if (at.windows.shift == ops::Pair(0)) return;
    masks_ = Storage(static_cast<size_t>(kinds * at.square()) * sizeof(float), Device{});
    float* mask = reinterpret_cast<float*>(masks_.data());
    for (int kind = 1; kind <= kinds; ++kind) {
      for (int64_t i = 0; i < at.head.length; ++i)
        for (int64_t j = 0; j < at.head.length; ++j)
          *mask++ = static_cast<float>(at.windows.mask(kind, i, j));
    }
  }

  Terms of(const Layout& at, int64_t n, int64_t h) const {
    const int kind = at.windows.mask_kind(n % at.windows.count());
    return {scale_, bias_ == nullptr ? nullptr : bias_ + h * at.square(),
            kind == 0 ? nullptr : reinterpret_cast<const float*>(masks_.data()) + (kind - 1) * at.square()};
  }

 private:
  static constexpr int kinds = 3;
  const float* bias_;
  float scale_;
  Storage masks_;
};

void forward(const Tensor& qkv, const Tensor& bias, const ops::WindowAttentionArgs& args, Tensor& y,
             Tensor& lse) {
  static constexpr auto op = ops::WindowAttention::name;
  if (y.numel() == 0) return;
  const Layout at(qkv, args);
  const AllTerms terms(op, at, bias, args.scale);
  const Elements in(op, qkv), out(op, y);
  float* plse = floats(op, lse);
  parallel_for(at.samples * at.heads, at.head.grain(), [&](int64_t begin, int64_t end) {
    const HeadForward step(at.head);
    const Gathered space(at, 4);
    for (int64_t i = begin; i < end; ++i) {
      const int64_t n = i / at.heads, h = i % at.heads;
      space.gather(in, n, h, 0, 3);
      step.run(space.packed(0), terms.of(at, n, h), space.part(3), plse + at.row_values(n, h));
      space.scatter(out, n, h, 3, 1);
    }
  });
}

void backward(const Tensor& dy, const Tensor& qkv, const Tensor& bias, const ops::WindowAttentionArgs& args,
              const Tensor& y, const Tensor& lse, Tensor& dqkv, Tensor& dbias) {
  static constexpr auto op = ops::WindowAttentionBackward::name;
  float* pdbias = floats(op, dbias);
  if (qkv.numel() == 0) {
    if (dbias.defined()) dbias.zero();
    return;
  }
  const Layout at(qkv, args);
  const AllTerms terms(op, at, bias, args.scale);
  const Elements g(op, dy), in(op, qkv), out(op, y), din(op, dqkv);
  const float* plse = floats(op, lse);
  BackwardChunks(at.samples, at.heads, at.head.length, pdbias).run(at.head.grain(), [&] {
    return [&, step = HeadBackward(at.head), space = Gathered(at, 8)](int64_t n, int64_t h, float* sum) {
      space.gather(in, n, h, 0, 3);
      space.gather(out, n, h, 3, 1);
      space.gather(g, n, h, 4, 1);
      step.run(space.packed(0), terms.of(at, n, h), space.part(3), space.part(4), plse + at.row_values(n, h),
               space.packed(5), sum);
      space.scatter(din, n, h, 5, 3);
    };
  });
}

[[maybe_unused]] const bool added[] = {
    add_kernel<ops::WindowAttention, forward, native_in_onednn>(),
    add_kernel<ops::WindowAttentionBackward, backward, native_in_onednn>(),
};

}  // namespace
}  // namespace trainer::cpu
