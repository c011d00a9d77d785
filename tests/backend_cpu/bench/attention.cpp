// Attention of common networks: with products of our own beside oneDNN's (in bf16, where both are possible), and in the
// windows of a Swin transformer beside what its code does, attention over maps that are rolled and cut into windows in
// memory, and put together again.
//
//   bench_attention [ROUNDS [THREADS]]
//
// A line per shape and direction: milliseconds, median and least. Both sides alternate in one process, so that whatever
// else the machine does meets both.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "lib/backend/cpu/attention_head.h"
#include "lib/backend/cpu/parallel.h"
#include "lib/base/rng.h"
#include "lib/base/system.h"
#include "lib/ops/attention.h"
#include "lib/ops/window_attention.h"

using namespace trainer;

namespace {

Tensor normal(const Shape& shape, DType dtype) {
  static uint64_t key = 0;
  Tensor t = Tensor::empty(shape);
  const Rng rng(++key);
  uint64_t i = 0;
  for (float& v : t.span<float>()) v = rng.normal(0, i++);
  return t.to(dtype);
}

using Work = std::function<void()>;

void compare(const std::string& what, int rounds, const char* name, const Work& theirs, const Work& ours) {
  std::vector<double> times[2];
  for (int i = 0; i < rounds + 2; ++i) {
    for (const int side : {0, 1}) {
      const double begin = now();
      (side == 0 ? theirs : ours)();
      if (i >= 2) times[side].push_back((now() - begin) * 1e3);
    }
  }
  for (auto& t : times) std::ranges::sort(t);
  const auto median = [&](int side) { return times[side][times[side].size() / 2]; };
  std::printf("%-58s %s %8.3f %8.3f  ours %8.3f %8.3f  ratio %5.2f\n", what.c_str(), name, median(0),
              times[0][0], median(1), times[1][0], median(0) / median(1));
  std::fflush(stdout);
}

/// qkv of ViTs at 224 pixels, batch 16.
void sequences(int64_t heads, int rounds) {
  const DType dtype = DType::bf16;
  const Tensor qkv = normal({16, 197, 3, heads, 64}, dtype), dy = normal({16, 197, heads, 64}, dtype);
  ops::AttentionResult f = ops::attention(qkv);
  Tensor dqkv = Tensor::empty_like(qkv), none;
  const auto with = [](cpu::OwnLoops where, const Work& work) {
    return [=] {
      cpu::set_attention(where);
      work();
      cpu::set_attention(cpu::OwnLoops::fast);
    };
  };
  const auto both = [&](const char* direction, const Work& work) {
    compare(qkv.shape().str() + " bf16 " + direction, rounds, "oneDNN", with(cpu::OwnLoops::off, work),
            with(cpu::OwnLoops::always, work));
  };
  both("forward", [&] { f = ops::attention(qkv); });
  both("backward", [&] { ops::attention_backward(dy, qkv, {}, {}, {}, f, dqkv, none); });
}

/// Between a map and its windows: token i of the windows is token of(i) of the map.
class Windows {
 public:
  Windows(const Shape& map, const ops::WindowAttentionArgs& args) : windows_(map, args), map_(map) {}
  int64_t count() const { return map_[0] * windows_.count(); }
  int64_t length() const { return windows_.length(); }

  void cut(const Tensor& map, Tensor& windows) const { copy(map.raw(), windows.raw(), bytes(map), false); }
  void merge(const Tensor& windows, Tensor& map) const { copy(map.raw(), windows.raw(), bytes(map), true); }
  /// [windows of a map, length, length]
  Tensor mask() const {
    Tensor m = Tensor::empty({windows_.count(), length(), length()});
    float* to = m.data<float>();
    for (int64_t w = 0; w < windows_.count(); ++w) {
      const int kind = windows_.mask_kind(w);
      for (int64_t i = 0; i < length(); ++i)
        for (int64_t j = 0; j < length(); ++j)
          *to++ = kind == 0 ? 0 : static_cast<float>(windows_.mask(kind, i, j));
    }
    return m;
  }

 private:
  int64_t bytes(const Tensor& map) const {
    return static_cast<int64_t>(map.bytes()) / (map_[0] * windows_.height * windows_.width);
  }
  void copy(const std::byte* map, const std::byte* windows, int64_t token, bool back) const {
    cpu::parallel_for(count(), 1, [&](int64_t begin, int64_t end) {
      for (int64_t n = begin; n < end; ++n) {
        for (int64_t i = 0; i < length(); ++i) {
          const int64_t of = n / windows_.count() * windows_.height * windows_.width +
                             windows_.token(n % windows_.count(), i);
          std::byte *a = const_cast<std::byte*>(map) + of * token,
                    *b = const_cast<std::byte*>(windows) + (n * length() + i) * token;
          std::memcpy(back ? a : b, back ? b : a, static_cast<size_t>(token));
        }
      }
    });
  }
  ops::Windows windows_;
  Shape map_;
};

/// A stage of Swin-T at 224 pixels, batch 16.
void windows(int64_t size, int64_t heads, int64_t shift, DType dtype, int rounds) {
  const ops::WindowAttentionArgs args{.window = 7, .shift = shift};
  const Tensor qkv = normal({16, size, size, 3, heads, 32}, dtype),
               dy = normal({16, size, size, heads, 32}, dtype), bias = normal({heads, 49, 49}, DType::f32);
  const Windows w(qkv.shape(), args);
  const Tensor mask = shift == 0 ? Tensor() : w.mask();
  Tensor packed = Tensor::empty({w.count(), 49, 3, heads, 32}, dtype), dpacked = Tensor::empty_like(packed),
         dout = Tensor::empty({w.count(), 49, heads, 32}, dtype), y = Tensor::empty_like(dy),
         dqkv = Tensor::empty_like(qkv), dbias = Tensor::empty_like(bias);
  ops::AttentionResult cut;
  ops::WindowAttentionResult f;
  const std::string what =
      qkv.shape().str() + " " + std::string(name_of(dtype)) + (shift == 0 ? "" : ", shifted");
  compare(
      what + " forward", rounds, "copies",
      [&] {
        w.cut(qkv, packed);
        cut = ops::attention(packed, bias, mask);
        w.merge(cut.y, y);
      },
      [&] { f = ops::window_attention(qkv, bias, args); });
  compare(
      what + " backward", rounds, "copies",
      [&] {
        w.cut(dy, dout);
        ops::attention_backward(dout, packed, bias, mask, {}, cut, dpacked, dbias);
        w.merge(dpacked, dqkv);
      },
      [&] { ops::window_attention_backward(dy, qkv, bias, args, f, dqkv, dbias); });
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 20;
  if (argc > 2) cpu::set_threads(std::atoi(argv[2]));
  for (const int64_t heads : {3, 6, 12}) sequences(heads, rounds);
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const int64_t shift : {0, 3}) {
      windows(56, 3, shift, dtype, rounds);
      windows(28, 6, shift, dtype, rounds);
      windows(14, 12, shift, dtype, rounds);
    }
    windows(7, 24, 0, dtype, rounds);
  }
}
