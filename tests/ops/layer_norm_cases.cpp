#include "lib/ops/layer_norm.h"

#include "lib/ops/elementwise.h"
#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

struct Options {
  bool residual = false;
  bool wide = false;  // the residual stream is f32 whatever the activations are
  bool dsum = false;  // a gradient arrives at the sum as well
  double eps = 1e-5;
};

Case make(const Shape& x, const Options& o) {
  const Shape channels{x.back()};
  return {
      .name = fmt::format("{}{}{}{}, eps {}", x, o.residual ? " + residual" : "", o.wide ? ", wide" : "",
                          o.dsum ? ", dsum" : "", o.eps),
      .terms = std::max(x.back(), x.rows()),
      .inputs =
          [=](Inputs& in) {
            const auto sum = [&] { return o.wide ? in.statistic(x) : in.normal(x); };
            return Tensors{in.normal(x), in.statistic(channels), in.statistic(channels),
                           o.residual ? sum() : Tensor(), o.dsum ? sum() : Tensor()};
          },
      .forward =
          [=](const Tensors& in) {
            const ops::LayerNormResult f = ops::layer_norm(in[0], in[3], in[1], in[2], {.eps = o.eps});
            return Tensors{f.y, f.sum, f.mean, f.rstd};
          },
      .backward =
          [=](const Tensors& in, const Tensors& out, const Tensor& dy) {
            const ops::LayerNormResult f{.sum = out[1], .y = out[0], .mean = out[2], .rstd = out[3]};
            Tensor dx = o.dsum ? in[4].clone() : Tensor::empty_like(out[1]),
                   dgamma = Tensor::empty_like(in[1]), dbeta = Tensor::empty_like(in[2]);
            ops::layer_norm_backward(dy, f, in[1], o.dsum ? dx : Tensor(), dx, dgamma, dbeta);
            // With dsum it is no longer the gradient of y alone.
            if (o.dsum) dx = ops::add(dx, ops::scale(in[4], -1));
            return Tensors{o.wide ? Tensor() : dx, dgamma, dbeta, o.residual ? dx : Tensor(), {}};
          },
  };
}

std::vector<Case> layer_norm_cases() {
  std::vector<Case> cases;
  for (const Options& o : {Options{}, Options{.residual = true}, Options{.residual = true, .wide = true},
                           Options{.dsum = true}, Options{.residual = true, .wide = true, .dsum = true}}) {
    for (const Shape& x : {Shape{2, 5, 64}, Shape{3, 2, 2, 33}, Shape{7}, Shape{0, 4}, Shape{300, 48}})
      cases.push_back(make(x, o));
  }
  for (int64_t n = 3; n <= 70; ++n) cases.push_back(make({1 + n % 5, n}, {.residual = n % 2 == 0}));
  cases.push_back(make({4, 2, 192}, {.residual = true, .eps = 1e-6}));
  // One or two values normalise to 0 or to -1 and 1: only a large eps leaves a gradient that is not all
  // rounding.
  cases.push_back(make({5, 2}, {.eps = 0.5}));
  cases.push_back(make({5, 1}, {.eps = 0.5}));
  return cases;
}

/// A mean far from 0: the variance must not come from a difference of squares.
std::vector<Case> offset_cases() {
  return {{
      .name = "mean 100",
      .terms = 500,
      .inputs =
          [](Inputs& in) {
            Tensor x = in.normal({4, 500}).to(DType::f64);
            for (double& v : x.span<double>()) v += 100;
            return Tensors{x.to(in.statistic({}).dtype()), in.statistic({500}), in.statistic({500})};
          },
      .forward =
          [](const Tensors& in) {
            const ops::LayerNormResult f = ops::layer_norm(in[0], {}, in[1], in[2]);
            return Tensors{f.mean, f.rstd};
          },
  }};
}

/// The output's dtype is chosen. The reference has one dtype for everything.
std::vector<Case> mixed_cases() {
  const auto narrow = [](const Tensor& x) {
    return x.device().kind == Device::Kind::ref ? x.dtype() : DType::bf16;
  };
  return {{
      .name = "f32 in, bf16 out",
      .inputs =
          [](Inputs& in) {
            return Tensors{in.statistic({6, 96}), in.statistic({96}), in.statistic({96})};
          },
      .forward =
          [=](const Tensors& in) {
            const ops::LayerNormResult f = ops::layer_norm(in[0], {}, in[1], in[2], {.dtype = narrow(in[0])});
            CHECK(f.y.dtype() == narrow(in[0]));
            const ops::LayerNormResult whole = ops::layer_norm(in[0], {}, in[1], in[2]);
            CHECK(difference(f.y, whole.y, 0x1p-8) == "");
            return Tensors{whole.y};
          },
      .backward =
          [=](const Tensors& in, const Tensors&, const Tensor& dy) {
            const ops::LayerNormResult f = ops::layer_norm(in[0], {}, in[1], in[2]);
            Tensor dx = Tensor::empty_like(in[0]), dgamma = Tensor::empty_like(in[1]),
                   dbeta = Tensor::empty_like(in[2]);
            ops::layer_norm_backward(dy, f, in[1], {}, dx, dgamma, dbeta);
            return Tensors{dx, dgamma, dbeta};
          },
  }};
}

TEST_OP("layer_norm", layer_norm_cases, ops::LayerNorm, ops::LayerNormBackward)
TEST_OP("layer_norm_offset", offset_cases, ops::LayerNorm)
TEST_OP("layer_norm_mixed", mixed_cases, ops::LayerNorm, ops::LayerNormBackward)

}  // namespace
}  // namespace trainer::test
