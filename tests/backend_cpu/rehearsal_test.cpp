// What the CPU's kernels do in a rehearsal: take their memory, and leave all results alone.
#include "lib/tensor/rehearsal.h"

#include "lib/backend/cpu/parallel.h"
#include "lib/ops/conv.h"
#include "lib/ops/matmul.h"
#include "tests/backend_cpu/with_threads.h"
#include "tests/catch.h"

namespace trainer::cpu {
namespace {

constexpr Device device{};

/// A convolution in all three directions.
void convolve(const Shape& map, const Shape& filters, int64_t stride, DType dtype) {
  const Tensor x = Tensor::empty(map, dtype), w = Tensor::empty(filters, dtype);
  const ops::Conv2dArgs args{.stride = stride, .padding = filters[1] / 2};
  const Tensor y = ops::conv2d(x, w, {}, args);
  Tensor dx = Tensor::empty_like(x), dw = Tensor::empty(filters), db;
  ops::conv2d_backward_data(y, w, args, dx);
  ops::conv2d_backward_weight(y, x, args, dw, db);
}

}  // namespace

TEST_CASE("a rehearsed loop is not run", "[rehearsal]") {
  const Rehearsal rehearsal;
  parallel_for(10, 1, [](int64_t, int64_t) { FAIL("it is"); });
}

TEST_CASE("rehearsed products write nothing", "[rehearsal]") {
  const Tensor x = Tensor::full({8, 32}, 1), w = Tensor::full({16, 32}, 1);
  Tensor dx = Tensor::full({8, 32}, 5);
  const Tensor dy = Tensor::full({8, 16}, 1);
  {
    const Rehearsal rehearsal;
    ops::linear_backward_data(dy, w, dx);
  }
  CHECK(dx.span<float>()[0] == 5);
  ops::linear_backward_data(dy, w, dx);
  CHECK(dx.span<float>()[0] == 16);
}

TEST_CASE("a rehearsed convolution takes the memory of a real one", "[rehearsal]") {
  const WithThreads one(1);
  struct Case {
    Shape map, filters;
    int64_t stride;
  };
  // oneDNN's, Winograd's, depthwise, a product.
  for (const Case& c : {Case{{4, 28, 28, 16}, {32, 5, 5, 16}, 2}, Case{{4, 28, 28, 64}, {64, 3, 3, 64}, 1},
                        Case{{4, 28, 28, 64}, {64, 1, 1, 64}, 1}}) {
    for (const DType dtype : {DType::f32, DType::bf16}) {
      CAPTURE(c.map, c.filters, name_of(dtype));
      {
        const Rehearsal rehearsal;
        convolve(c.map, c.filters, c.stride, dtype);
      }
      const PoolStatistics rehearsed = pool_statistics(device);
      convolve(c.map, c.filters, c.stride, dtype);
      const PoolStatistics real = pool_statistics(device);
      CHECK(real.touched - rehearsed.touched <= 4096 * 64);  // what a thread takes for itself
      CHECK(real.in_use == rehearsed.in_use);
    }
  }
}

}  // namespace trainer::cpu
