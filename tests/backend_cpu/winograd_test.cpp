// Winograd's convolution against ref in f64: on every instruction set of this machine, at the edges of tiles,
// blocks and panels, and beside the direct method.
#include "lib/backend/cpu/winograd.h"
#include "lib/backend/cpu/onednn.h"

#include <cmath>
#include <thread>
#include <vector>

#include "tests/backend_cpu/instruction_sets.h"
#include "tests/backend_cpu/tensors.h"
#include "tests/backend_cpu/with_threads.h"
#include "tests/catch.h"

namespace trainer::cpu {
namespace {

class WithWinograd {
 public:
  explicit WithWinograd(OwnLoops where) { set_winograd(where); }
  ~WithWinograd() { set_winograd(OwnLoops::fast); }
};

struct Problem {
  Shape x;
  int64_t out;
  ops::Conv2dArgs args = {.padding = 1};
  bool bias = true;

  Shape w() const { return {out, 3, 3, x[3]}; }
  Shape y() const { return ops::conv2d_shape(x, w(), args); }
};

Tensors inputs(const Problem& p) {
  return {normal(p.x, 1), normal(p.w(), 2), p.bias ? normal({p.out}, 3) : Tensor(), normal(p.y(), 4)};
}

/// y, dx, dw, dbias of x, w, bias, dy.
Tensors compute(const Problem& p, const Tensors& in) {
  Tensor dx = Tensor::empty_like(in[0]), dw = Tensor::empty_like(in[1]),
         dbias = p.bias ? Tensor::empty_like(in[2]) : Tensor();
  ops::conv2d_backward_data(in[3], in[1], p.args, dx);
  ops::conv2d_backward_weight(in[3], in[0], p.args, dw, dbias);
  return {ops::conv2d(in[0], in[1], in[2], p.args), dx, dw, dbias};
}
Tensors compute(const Problem& p) { return compute(p, inputs(p)); }

Tensors exact(const Problem& p) {
  Tensors in = inputs(p);
  for (Tensor& t : in) {
    if (t.defined()) t = t.to(Device{Device::Kind::ref}).to(DType::f64);
  }
  return compute(p, in);
}

struct Errors {
  double rms, largest;  // relative to the root mean square of what is expected
};
Errors errors(const Tensor& got, const Tensor& expected) {
  double squares = 0, off = 0, largest = 0;
  const double* e = expected.data<double>();
  for (const float g : got.span<float>()) {
    const double difference = std::abs(g - *e);
    off += difference * difference;
    largest = std::max(largest, difference);
    squares += *e * *e;
    ++e;
  }
  const double typical = std::sqrt(squares / static_cast<double>(got.numel()));
  return {std::sqrt(off / static_cast<double>(got.numel())) / typical, largest / typical};
}

/// Shapes that leave no edge out: of maps, tiles, blocks of 64 and panels of 8 to 32 channels.
std::vector<Problem> awkward() {
  return {
      {{1, 1, 1, 1}, 1},
      {{3, 3, 2, 5}, 7},
      {{2, 3, 3, 4}, 3, {.padding = 0}},
      {{5, 5, 5, 3}, 33},
      {{1, 6, 17, 17}, 16, {.padding = 0}, false},
      {{4, 7, 7, 31}, 18},
      {{2, 9, 10, 64}, 65},
      {{3, 11, 4, 65}, 8, {.padding = {0, 1}}},
      {{1, 13, 13, 130}, 40},
      {{2, 15, 14, 24}, 100, {.padding = {1, 2}}, false},
      {{1, 17, 16, 16}, 32},
      {{5, 4, 8, 32}, 48},
      {{1, 4, 5, 3}, 4, {.padding = 3}},
      {{6, 30, 29, 9}, 12},     // the gradient of the filters: several parts,
      {{260, 1, 1, 136}, 130},  // and pairs that get their tiles in two goes
  };
}

}  // namespace

TEST_CASE("Winograd's convolutions are those of ref on every instruction set", "[winograd]") {
  const WithWinograd on(OwnLoops::always);
  for (const Problem& p : awkward()) {
    const Tensors expected = exact(p);
    InstructionSets().each([&] {
      const Tensors got = compute(p);
      for (size_t i = 0; i < got.size(); ++i) {
        if (!got[i].defined()) continue;
        INFO(p.x.str() << " to " << p.out << " channels, result " << i);
        const Errors off = errors(got[i], expected[i]);
        CHECK(off.rms < 3e-6);
        CHECK(off.largest < 3e-5);
      }
    });
  }
}

TEST_CASE("Winograd's error is a few times that of a direct sum", "[winograd]") {
  const Problem p{{2, 14, 14, 128}, 128};
  const Tensors expected = exact(p);
  const auto error_of = [&](OwnLoops where, size_t i) {
    const WithWinograd scope(where);
    return errors(compute(p)[i], expected[i]);
  };
  for (size_t i = 0; i < 3; ++i) {
    const Errors direct = error_of(OwnLoops::off, i), ours = error_of(OwnLoops::always, i);
    CAPTURE(i, direct.rms, direct.largest, ours.rms, ours.largest);
    CHECK(direct.rms < 6e-7);
    CHECK(ours.rms < 2e-6);
    CHECK(ours.largest < 2e-5);
  }
}

TEST_CASE("Winograd's results do not depend on the number of threads", "[winograd]") {
  const WithWinograd on(OwnLoops::always);
  for (const Problem& p : {Problem{{3, 14, 14, 100}, 72},
                           {{2, 7, 7, 64}, 130},
                           {{6, 29, 30, 40}, 24},
                           {{260, 1, 1, 136}, 130}}) {
    const WithThreads one(1);
    const Tensors expected = compute(p);
    for (const int n : {2, 3, 4, 7}) {
      const WithThreads several(n);
      CHECK(same_bits(compute(p), expected));
    }
  }
}

TEST_CASE("Winograd's convolutions may run on several threads at once", "[winograd]") {
  const WithWinograd on(OwnLoops::always);
  const Problem p{{2, 13, 13, 40}, 72};
  const Tensors expected = compute(p);
  std::vector<int> differences(3, 0);
  std::vector<std::thread> workers;
  for (int& count : differences) {
    workers.emplace_back([&] {
      for (int repeat = 0; repeat < 10; ++repeat) count += !same_bits(compute(p), expected);
    });
  }
  for (std::thread& w : workers) w.join();
  CHECK(differences == std::vector<int>(3, 0));
}

TEST_CASE("Winograd's second run takes no new memory", "[winograd]") {
  const WithWinograd on(OwnLoops::always);
  const Problem few{{2, 7, 7, 64}, 200}, many{{6, 30, 29, 40}, 24};
  const auto run = [&] { compute(few), compute(many); };
  run();
  run();
  const int64_t growths = pool_statistics(Device{}).growths;
  run();
  CHECK(pool_statistics(Device{}).growths == growths);
}

TEST_CASE("CONV.WINOGRAD off leaves the direct convolution as it is", "[winograd]") {
  const Problem layer{{4, 16, 16, 64}, 64};  // one where Winograd's is used
  const Tensors on = compute(layer);
  Tensors off;
  {
    const WithWinograd scope(OwnLoops::off);
    off = compute(layer);
    CHECK(!same_bits(on, off));
  }
  CHECK(same_bits(compute(layer), on));

  const Problem narrow{{4, 16, 16, 3}, 8};  // and one where it is not
  const Tensors direct = compute(narrow);
  const WithWinograd scope(OwnLoops::off);
  CHECK(same_bits(compute(narrow), direct));
  CHECK(same_bits(compute(layer), off));
}

TEST_CASE("Winograd's algorithm is used where it is possible and faster", "[winograd]") {
  const auto wanted = [](const Shape& maps, const Shape& w, const ops::Conv2dArgs& args = {.padding = 1},
                         DType dtype = DType::f32) {
    return winograd::wanted(Tensor::empty(maps, dtype), Tensor::empty(w, dtype), args);
  };
  CHECK(wanted({16, 56, 56, 64}, {64, 3, 3, 64}));
  CHECK(wanted({16, 7, 7, 512}, {512, 3, 3, 512}));
  CHECK(wanted({64, 8, 8, 32}, {32, 3, 3, 32}));
  CHECK(wanted({64, 4, 4, 128}, {128, 3, 3, 64}));
  CHECK_FALSE(wanted({16, 32, 32, 64}, {64, 3, 3, 3}));    // too few channels
  CHECK_FALSE(wanted({64, 1, 1, 512}, {512, 3, 3, 512}));  // a tile of 16 pixels for one
  CHECK_FALSE(wanted({1, 7, 7, 512}, {512, 3, 3, 512}));   // the filters take longer than the tiles
  // In bf16 the gradient of the weights is more often, and nothing is faster than matrix units.
  CHECK(wanted({16, 28, 28, 128}, {128, 3, 3, 128}, {.padding = 1}, DType::bf16) == !has_amx());
  CHECK(wanted({64, 32, 32, 64}, {64, 3, 3, 64}, {.padding = 1}, DType::bf16) == !has_amx());
  CHECK_FALSE(
      wanted({64, 4, 4, 512}, {512, 3, 3, 512}, {.padding = 1}, DType::bf16));       // half of it is padding
  CHECK_FALSE(wanted({64, 8, 8, 32}, {32, 3, 3, 32}, {.padding = 1}, DType::bf16));  // too few channels
  const auto for_weights = [](const Shape& dy, const Shape& dw, DType dtype) {
    return winograd::wanted_backward_weight(Tensor::empty(dy, dtype), Tensor::empty(dw), {.padding = 1});
  };
  CHECK(for_weights({16, 28, 28, 128}, {128, 3, 3, 128}, DType::f32));
  CHECK(for_weights({16, 28, 28, 128}, {128, 3, 3, 128}, DType::bf16) == !has_amx());
  CHECK(for_weights({64, 8, 8, 32}, {32, 3, 3, 32}, DType::bf16) == !has_amx());
  CHECK_FALSE(for_weights({16, 32, 32, 64}, {64, 3, 3, 3}, DType::bf16));
  {
    const WithWinograd scope(OwnLoops::off);
    CHECK_FALSE(wanted({16, 56, 56, 64}, {64, 3, 3, 64}));
  }
  const WithWinograd scope(OwnLoops::always);
  CHECK(wanted({1, 1, 1, 1}, {1, 3, 3, 1}));
  CHECK_FALSE(wanted({16, 56, 56, 64}, {64, 3, 3, 64}, {.stride = 2, .padding = 1}));
  CHECK_FALSE(wanted({16, 56, 56, 64}, {64, 3, 3, 64}, {.stride = {1, 2}, .padding = 1}));
  CHECK_FALSE(wanted({16, 56, 56, 64}, {64, 3, 3, 64}, {.padding = 2, .dilation = 2}));
  CHECK_FALSE(wanted({16, 56, 56, 64}, {64, 3, 3, 32}, {.padding = 1, .groups = 2}));
  CHECK_FALSE(wanted({16, 56, 56, 64}, {64, 3, 1, 64}));
}

}  // namespace trainer::cpu
