#include "lib/ops/pool.h"

#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

using ops::Pool2dArgs;

struct Pool {
  const char* name;
  Shape x;
  Pool2dArgs args = {};
};

std::vector<Pool> pools() {
  return {
      {"2x2", {2, 8, 8, 16}},
      {"2x2, odd extents", {2, 7, 5, 3}},
      {"2x2, odd extents, ceil", {2, 7, 5, 3}, {.ceil_mode = true}},
      {"3x3 stride 2 padding 1", {2, 9, 12, 17}, {.kernel = 3, .stride = 2, .padding = 1}},
      {"3x3 stride 2 padding 1, ceil",
       {1, 8, 7, 33},
       {.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true}},
      {"3x3 stride 1 padding 1", {1, 5, 6, 7}, {.kernel = 3, .stride = 1, .padding = 1}},
      {"3x3 stride 3, ceil drops a window",
       {1, 4, 4, 1},
       {.kernel = 3, .stride = 3, .padding = 1, .ceil_mode = true}},
      {"2x2 stride 3", {1, 9, 8, 8}, {.kernel = 2, .stride = 3}},
      {"2x2 stride 3, ceil", {1, 9, 8, 8}, {.kernel = 2, .stride = 3, .ceil_mode = true}},
      {"padding is not counted",
       {2, 7, 6, 5},
       {.kernel = 3, .stride = 2, .padding = 1, .count_include_pad = false}},
      {"padding is not counted, ceil",
       {2, 6, 6, 5},
       {.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true, .count_include_pad = false}},
      {"1x1 stride 2", {1, 5, 5, 4}, {.kernel = 1, .stride = 2}},
      {"per axis", {1, 6, 9, 4}, {.kernel = {2, 3}, .stride = {1, 2}, .padding = {1, 0}}},
      {"one pixel", {2, 1, 1, 6}, {.kernel = 2, .stride = 2, .padding = 1}},
      {"whole input", {2, 7, 7, 64}, {.kernel = 7, .stride = 1}},
      {"256 positions", {1, 16, 17, 3}, {.kernel = 16, .stride = 1}},
      {"empty batch", {0, 4, 4, 3}},
  };
}

Case max_pool(const std::string& name, const Shape& x, const Pool2dArgs& args,
              Tensor (Inputs::*values)(const Shape&)) {
  return {
      .name = name,
      .terms = args.kernel.h * args.kernel.w,
      .inputs = [=](Inputs& in) { return Tensors{(in.*values)(x)}; },
      .forward =
          [=](const Tensors& in) {
            const auto [y, argmax] = ops::max_pool2d(in[0], args);
            return Tensors{y, argmax};
          },
      .backward =
          [=](const Tensors& in, const Tensors& out, const Tensor& dy) {
            Tensor dx = Tensor::empty_like(in[0]);
            ops::max_pool2d_backward(dy, out[1], args, dx);
            return Tensors{dx};
          },
      .exact = true,
  };
}

std::vector<Case> max_pool_cases() {
  std::vector<Case> cases;
  for (const Pool& v : pools()) {
    cases.push_back(max_pool(v.name, v.x, v.args, &Inputs::normal));
    // Where the maximum is not unique there is no derivative, but there is one right answer.
    for (const auto values : {&Inputs::ties, &Inputs::special}) {
      cases.push_back(
          max_pool(fmt::format("{}, {}", v.name, values == &Inputs::ties ? "ties" : "special values"), v.x,
                   v.args, values));
      cases.back().backward = nullptr;
    }
  }
  for (int64_t channels = 1; channels <= 70; ++channels) {
    cases.push_back(max_pool(fmt::format("{} channels", channels), {1, 5, 4, channels},
                             {.kernel = 3, .stride = 2, .padding = 1}, &Inputs::normal));
  }
  return cases;
}

Case avg_pool(const std::string& name, const Shape& x, const Pool2dArgs& args) {
  return {
      .name = name,
      .terms = args.kernel.h * args.kernel.w,
      .inputs = [=](Inputs& in) { return Tensors{in.normal(x)}; },
      .forward = [=](const Tensors& in) { return Tensors{ops::avg_pool2d(in[0], args)}; },
      .backward =
          [=](const Tensors& in, const Tensors&, const Tensor& dy) {
            Tensor dx = Tensor::empty_like(in[0]);
            ops::avg_pool2d_backward(dy, args, dx);
            return Tensors{dx};
          },
  };
}

std::vector<Case> avg_pool_cases() {
  std::vector<Case> cases;
  for (const Pool& v : pools()) cases.push_back(avg_pool(v.name, v.x, v.args));
  for (int64_t channels = 1; channels <= 70; ++channels) {
    cases.push_back(avg_pool(fmt::format("{} channels", channels), {1, 5, 4, channels},
                             {.kernel = 3, .stride = 2, .padding = 1}));
  }
  return cases;
}

std::vector<Case> global_avg_pool_cases() {
  std::vector<Shape> shapes{{2, 7, 7, 64}, {1, 1, 1, 3}, {3, 5, 17}, {4, 6}, {2, 3, 4, 5, 6}, {0, 4, 4, 3}};
  for (int64_t channels = 1; channels <= 70; ++channels) shapes.push_back({2, 3, 3, channels});
  std::vector<Case> cases;
  for (const Shape& x : shapes) {
    cases.push_back({
        .name = x.str(),
        .terms = x.drop_front().rows(),
        .inputs = [=](Inputs& in) { return Tensors{in.normal(x)}; },
        .forward = [](const Tensors& in) { return Tensors{ops::global_avg_pool(in[0])}; },
        .backward =
            [](const Tensors& in, const Tensors&, const Tensor& dy) {
              Tensor dx = Tensor::empty_like(in[0]);
              ops::global_avg_pool_backward(dy, dx);
              return Tensors{dx};
            },
    });
  }
  return cases;
}

TEST_OP("max_pool2d", max_pool_cases, ops::MaxPool2d, ops::MaxPool2dBackward)
TEST_OP("avg_pool2d", avg_pool_cases, ops::AvgPool2d, ops::AvgPool2dBackward)
TEST_OP("global_avg_pool", global_avg_pool_cases, ops::GlobalAvgPool, ops::GlobalAvgPoolBackward)

}  // namespace
}  // namespace trainer::test
