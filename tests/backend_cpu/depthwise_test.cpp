// Depthwise convolutions by our loops against ref in f64 on every instruction set, beside oneDNN where
// results go past the caches, and which are computed by them. (tests/ops compares all cases with ref.)
#include "lib/backend/cpu/depthwise.h"

#include <cmath>
#include <thread>
#include <vector>

#include "tests/backend_cpu/instruction_sets.h"
#include "tests/backend_cpu/tensors.h"
#include "tests/backend_cpu/with_threads.h"
#include "tests/catch.h"

namespace trainer::cpu {
namespace {

class WithDepthwise {
 public:
  explicit WithDepthwise(OwnLoops where) { set_depthwise(where); }
  ~WithDepthwise() { set_depthwise(OwnLoops::fast); }
};

struct Problem {
  Shape x;
  int64_t kernel;
  ops::Pair stride = 1, padding = kernel / 2;
  DType dtype = DType::f32;

  ops::Conv2dArgs args() const { return {.stride = stride, .padding = padding, .groups = x[3]}; }
  Shape w() const { return {x[3], kernel, kernel, 1}; }
};

/// x, w, bias, dy.
Tensors inputs(const Problem& p) {
  return {normal(p.x, 1, p.dtype), normal(p.w(), 2, p.dtype), normal({p.x[3]}, 3, DType::f32),
          normal(ops::conv2d_shape(p.x, p.w(), p.args()), 4, p.dtype)};
}

/// y, dx, dw, dbias.
Tensors compute(const Problem& p, const Tensors& in) {
  Tensor dx = Tensor::empty_like(in[0]), dw = Tensor::empty(p.w(), in[2].dtype(), in[2].device()),
         dbias = Tensor::empty_like(in[2]);
  ops::conv2d_backward_data(in[3], in[1], p.args(), dx);
  ops::conv2d_backward_weight(in[3], in[0], p.args(), dw, dbias);
  return {ops::conv2d(in[0], in[1], in[2], p.args()), dx, dw, dbias};
}
Tensors compute(const Problem& p) { return compute(p, inputs(p)); }

Tensors exact(const Problem& p) {
  Tensors in = inputs(p);
  for (Tensor& t : in) t = t.to(Device{Device::Kind::ref}).to(DType::f64);
  return compute(p, in);
}

/// The largest difference, relative to the root mean square of what is expected.
double distance(const Tensor& got, const Tensor& expected) {
  const Tensor a = got.to(DType::f64), b = expected.to(DType::f64);
  double squares = 0, largest = 0;
  for (int64_t i = 0; i < a.numel(); ++i) {
    const double e = b.data<double>()[i], difference = std::abs(a.data<double>()[i] - e);
    largest = std::isnan(difference) ? INFINITY : std::max(largest, difference);
    squares += e * e;
  }
  return largest / std::sqrt(squares / static_cast<double>(b.numel()));
}

/// Several chunks of rows, several parts of the channels, a last vector that overlaps.
const Problem large[] = {{{5, 31, 30, 203}, 3},
                         {{6, 29, 31, 101}, 3, 2},
                         {{3, 23, 21, 150}, 5, 2},
                         {{4, 17, 18, 119}, 7},
                         {{4, 17, 18, 119}, 7, 1, 3, DType::bf16}};

}  // namespace

TEST_CASE("depthwise convolutions are those of ref on every instruction set", "[depthwise]") {
  const WithDepthwise on(OwnLoops::always);
  std::vector<Problem> problems(std::begin(large), std::end(large));
  for (const int64_t kernel : {3, 5, 7}) {
    for (const int64_t stride : {1, 2}) {
      for (const ops::Pair padding :
           {ops::Pair(kernel / 2), ops::Pair(0, 1), ops::Pair(kernel, kernel + 1)}) {
        problems.push_back({{2, 9, 8, 19}, kernel, stride, padding});
        problems.push_back({{1, 10, 31, 33}, kernel, stride, padding, DType::bf16});
      }
    }
  }
  for (const Problem& p : problems) {
    const Tensors expected = exact(p);
    InstructionSets().each([&] {
      const Tensors got = compute(p);
      for (size_t i = 0; i < got.size(); ++i) {
        INFO(p.x.str() << ", kernel " << p.kernel << ", stride " << p.stride.h << ", result " << i);
        CHECK(distance(got[i], expected[i]) < (got[i].dtype() == DType::bf16 ? 2e-2 : 2e-5));
      }
    });
  }
}

TEST_CASE("depthwise results that go past the caches are oneDNN's", "[depthwise]") {
  for (const auto& [dtype, channels, tolerance] :
       {std::tuple{DType::f32, int64_t{64}, 2e-5}, {DType::bf16, 128, 4e-2}}) {
    for (const int64_t stride : {1, 2}) {
      const Problem p{{1, 260, 257, channels}, 3, stride, 1, dtype};
      REQUIRE(normal(p.x, 1, dtype).bytes() >= size_t{16} << 20);
      Tensors expected;
      {
        const WithDepthwise off(OwnLoops::off);
        expected = compute(p);
      }
      const WithDepthwise on(OwnLoops::always);
      const Tensors got = compute(p);
      for (size_t i = 0; i < got.size(); ++i) {
        INFO(name_of(dtype) << ", stride " << stride << ", result " << i);
        CHECK(distance(got[i], expected[i]) < tolerance);
      }
    }
  }
}

TEST_CASE("depthwise results do not depend on the number of threads", "[depthwise]") {
  const WithDepthwise on(OwnLoops::always);
  for (const Problem& p : large) {
    const WithThreads one(1);
    const Tensors expected = compute(p);
    for (const int n : {2, 3, 4, 7}) {
      const WithThreads several(n);
      CHECK(same_bits(compute(p), expected));
    }
  }
}

TEST_CASE("depthwise convolutions may run on several threads at once, and take no new memory",
          "[depthwise]") {
  const WithDepthwise on(OwnLoops::always);
  const Tensors expected = compute(large[1]);
  compute(large[1]);
  const int64_t growths = pool_statistics(Device{}).growths;
  compute(large[1]);
  CHECK(pool_statistics(Device{}).growths == growths);
  std::vector<int> differences(3, 0);
  std::vector<std::thread> workers;
  for (int& count : differences) {
    workers.emplace_back([&] {
      for (int repeat = 0; repeat < 5; ++repeat) count += !same_bits(compute(large[1]), expected);
    });
  }
  for (std::thread& w : workers) w.join();
  CHECK(differences == std::vector<int>(3, 0));
}

TEST_CASE("depthwise loops are used where they are possible and faster", "[depthwise]") {
  struct Wanted {
    bool forward, data, weight;
    bool operator==(const Wanted&) const = default;
  };
  const auto wanted = [](const Shape& x, const ops::Pair& kernel, ops::Conv2dArgs args = {},
                         DType dtype = DType::f32) {
    if (args.groups == 1) args.groups = x[3];
    const Tensor map = Tensor::empty(x, dtype),
                 w = Tensor::empty({x[3], kernel.h, kernel.w, x[3] / args.groups}, dtype);
    return Wanted{depthwise::wanted_forward(map, w, args), depthwise::wanted_backward_data(map, w, args),
                  depthwise::wanted_backward_weight(map, w, args)};
  };
  const Wanted all{true, true, true}, none{false, false, false};
  CHECK(wanted({16, 7, 7, 768}, 7) == all);
  CHECK(wanted({16, 28, 28, 240}, 5, {}, DType::bf16) == all);
  CHECK(wanted({16, 56, 56, 144}, 3) == all);
  CHECK(wanted({16, 112, 112, 96}, 3, {.stride = 2}) == all);
  CHECK(wanted({16, 7, 7, 960}, 3) == Wanted{true, true, false});
  CHECK(wanted({16, 14, 14, 576}, 3, {.stride = 2}) == none);
  CHECK(wanted({16, 14, 14, 576}, 3, {}, DType::bf16) == none);
  CHECK(wanted({16, 56, 56, 144}, 3, {}, DType::bf16) == Wanted{false, true, true});
  CHECK(wanted({16, 112, 112, 96}, 3, {.stride = 2}, DType::bf16) == Wanted{false, false, true});
  {
    const WithDepthwise off(OwnLoops::off);
    CHECK(wanted({16, 7, 7, 768}, 7) == none);
  }
  const WithDepthwise always(OwnLoops::always);
  CHECK(wanted({1, 7, 7, 16}, 3, {.stride = 2}, DType::bf16) == all);
  CHECK(wanted({1, 7, 7, 3}, 3) == none);  // less than a vector, at least of the smallest instruction set
  CHECK(wanted({1, 7, 7, 64}, 4) == none);
  CHECK(wanted({1, 7, 7, 64}, {3, 5}) == none);
  CHECK(wanted({1, 7, 7, 64}, 3, {.stride = 3}) == none);
  CHECK(wanted({1, 7, 7, 64}, 3, {.stride = {1, 2}}) == none);
  CHECK(wanted({1, 7, 7, 64}, 3, {.dilation = 2}) == none);
  CHECK(wanted({1, 7, 7, 64}, 3, {.groups = 32}) == none);
  CHECK(wanted({1, 7, 7, 64}, 3, {}, DType::f16) == none);
}

}  // namespace trainer::cpu
