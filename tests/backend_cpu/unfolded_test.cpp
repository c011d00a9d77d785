// Convolutions and gradients of weights from unfolded maps: of more than is unfolded at once, and which are computed so.
// (tests/ops compares all cases with ref.)
#include "lib/backend/cpu/unfolded.h"

#include <cmath>

#include "lib/backend/cpu/onednn.h"
#include "tests/backend_cpu/tensors.h"
#include "tests/backend_cpu/with_threads.h"
#include "tests/catch.h"

namespace trainer::cpu {
namespace {

class WithUnfolded {
 public:
  explicit WithUnfolded(OwnLoops where) { set_unfolded(where); }
  ~WithUnfolded() { set_unfolded(OwnLoops::fast); }
};

/// dw and dbias of seven samples, of which three are unfolded at a time in f32 and six in bf16.
Tensors compute(DType dtype) {
  const ops::Conv2dArgs args{.stride = 2, .padding = 1};
  const Tensor x = normal({7, 66, 65, 128}, 1, dtype), dy = normal({7, 33, 33, 40}, 2, dtype);
  Tensor dw = Tensor::empty({40, 3, 3, 128}), dbias = Tensor::empty({40});
  ops::conv2d_backward_weight(dy, x, args, dw, dbias);
  return {dw, dbias};
}

TEST_CASE("gradients of weights from maps that are unfolded in several parts", "[unfolded]") {
  for (const DType dtype : {DType::f32, DType::bf16}) {
    INFO(name_of(dtype));
    Tensors expected;
    {
      const WithUnfolded off(OwnLoops::off);
      expected = compute(dtype);
    }
    const WithUnfolded on(OwnLoops::always);
    const Tensors got = compute(dtype);
    for (size_t i = 0; i < got.size(); ++i) {
      double worst = 0, squares = 0;
      for (int64_t e = 0; e < got[i].numel(); ++e) {
        const double want = expected[i].data<float>()[e];
        worst = std::max(worst, std::abs(got[i].data<float>()[e] - want));
        squares += want * want;
      }
      // Two sums of 7623 terms in f32: each is off by some 5e-6 of what such sums amount to, a few by five times that.
      CHECK(worst < 5e-5 * std::sqrt(squares / static_cast<double>(got[i].numel())));
    }

    compute(dtype);
    const int64_t growths = pool_statistics(Device{}).growths;
    const Tensors again = compute(dtype);
    CHECK(pool_statistics(Device{}).growths == growths);
    for (size_t i = 0; i < got.size(); ++i) CHECK(same_bits(again[i], got[i]));
  }
}

TEST_CASE("gradients of weights come from unfolded maps where that is faster", "[unfolded]") {
  const auto wanted = [](const Shape& dy, const Shape& dw, const ops::Conv2dArgs& args,
                         DType dtype = DType::f32) {
    return unfolded::wanted_backward_weight(Tensor::empty(dy, dtype), Tensor::empty(dw), args);
  };
  const ops::Conv2dArgs strided{.stride = 2, .padding = 1};
  CHECK(wanted({16, 28, 28, 128}, {128, 3, 3, 128}, strided));
  CHECK(wanted({16, 7, 7, 512}, {512, 3, 3, 512}, strided));
  CHECK(wanted({16, 7, 7, 512}, {512, 3, 3, 512}, strided, DType::bf16) == !has_amx());
  CHECK_FALSE(wanted({16, 28, 28, 128}, {128, 3, 3, 128}, strided, DType::bf16));  // copies cost too much
  CHECK_FALSE(wanted({16, 112, 112, 64}, {64, 7, 7, 3}, {.stride = 2, .padding = 3}));  // a large map
  CHECK_FALSE(wanted({16, 28, 28, 128}, {128, 3, 3, 128}, {.padding = 1}));             // no stride
  CHECK_FALSE(wanted({16, 28, 28, 128}, {128, 1, 1, 128}, {.stride = 2}));              // one pixel
  CHECK_FALSE(wanted({16, 28, 28, 128}, {128, 3, 3, 64}, {.stride = 2, .padding = 1, .groups = 2}));
  CHECK(wanted({16, 14, 14, 192}, {192, 16, 16, 3}, {.stride = 16}));
  CHECK_FALSE(wanted({16, 56, 56, 96}, {96, 4, 4, 3}, {.stride = 4}));  // few outputs
  const WithUnfolded off(OwnLoops::off);
  CHECK_FALSE(wanted({16, 7, 7, 512}, {512, 3, 3, 512}, strided));
}

TEST_CASE("embeddings of patches are computed from unfolded maps", "[unfolded]") {
  const auto wanted = [](const Shape& y, const Shape& w, const ops::Conv2dArgs& args,
                         DType dtype = DType::f32) {
    return unfolded::wanted_forward(Tensor::empty(y, dtype), Tensor::empty(w, dtype), args);
  };
  CHECK(wanted({16, 14, 14, 192}, {192, 16, 16, 3}, {.stride = 16}));
  CHECK(wanted({16, 14, 14, 192}, {192, 16, 16, 3}, {.stride = 16}, DType::bf16) == !has_amx());
  CHECK(wanted({64, 8, 8, 192}, {192, 4, 4, 3}, {.stride = 4}));
  CHECK_FALSE(wanted({16, 56, 56, 96}, {96, 4, 4, 3}, {.stride = 4}));
  CHECK_FALSE(wanted({16, 28, 28, 192}, {192, 2, 2, 96}, {.stride = 2}));               // many channels
  CHECK_FALSE(wanted({16, 112, 112, 64}, {64, 7, 7, 3}, {.stride = 2, .padding = 3}));  // filters overlap
  CHECK_FALSE(wanted({16, 14, 14, 192}, {192, 16, 16, 3}, {.stride = 16, .padding = 1}));
  const WithUnfolded off(OwnLoops::off);
  CHECK_FALSE(wanted({16, 14, 14, 192}, {192, 16, 16, 3}, {.stride = 16}));
}

/// Of nine samples, of which seven are unfolded at a time.
TEST_CASE("a convolution of maps that are unfolded in several parts", "[unfolded]") {
  const ops::Conv2dArgs args{.stride = 4};
  const Tensor x = normal({9, 444, 448, 3}, 1), w = normal({40, 4, 4, 3}, 2), bias = normal({40}, 3);
  const auto compute = [&](OwnLoops where) {
    const WithUnfolded with(where);
    return ops::conv2d(x, w, bias, args);
  };
  const Tensor expected = compute(OwnLoops::off), got = compute(OwnLoops::always);
  double worst = 0;
  for (int64_t e = 0; e < got.numel(); ++e)
    worst = std::max(worst, std::abs(double{got.data<float>()[e]} - expected.data<float>()[e]));
  CHECK(worst < 48 * 1e-6);  // sums of 48 products of about 1
}

}  // namespace
}  // namespace trainer::cpu
