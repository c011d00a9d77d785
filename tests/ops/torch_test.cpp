// What PyTorch 2 computes, in f64: where a formula has several readings, these are the ones that count.
#include <cmath>
#include <limits>

#include "lib/ops/adam.h"
#include "lib/ops/conv.h"
#include "lib/ops/flat.h"
#include "lib/ops/loss.h"
#include "lib/ops/norm.h"
#include "lib/ops/pool.h"
#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

constexpr Device ref{Device::Kind::ref};
constexpr double nan = std::numeric_limits<double>::quiet_NaN();

Tensor of(const std::vector<double>& values, const Shape& shape) {
  return Tensor::of<double>(values, shape, ref);
}
Tensor of(const std::vector<double>& values) { return of(values, {static_cast<int64_t>(values.size())}); }

void check_equal(const Tensor& got, const std::vector<double>& expected) {
  CHECK(difference(got, of(expected, got.shape()), 1e-12) == "");
}

/// from, from + 1, ...
Tensor range(double from, const Shape& shape) {
  std::vector<double> values;
  for (int64_t i = 0; i < shape.numel(); ++i) values.push_back(from + static_cast<double>(i));
  return of(values, shape);
}

TEST_CASE("conv2d as in PyTorch", "[conv2d]") {
  const Tensor y = ops::conv2d(range(-12, {1, 3, 4, 2}), range(-8, {2, 2, 2, 2}), of({0.5, -0.5}),
                               {.stride = {2, 1}, .padding = 1});
  REQUIRE(y.shape() == Shape{1, 2, 5, 2});
  check_equal(y, {35.5, -149.5, 110.5, -226.5, 90.5,  -182.5, 70.5,   -138.5, 39.5,   -49.5,
                  26.5, 41.5,   20.5,  115.5,  -51.5, 171.5,  -123.5, 227.5,  -109.5, 97.5});
}

TEST_CASE("the extents of pooled maps as in PyTorch", "[max_pool2d][avg_pool2d]") {
  const auto extent = [](int64_t in, int64_t kernel, int64_t stride, int64_t padding, bool ceil_mode) {
    return ops::pool2d_shape(
        {1, in, in, 1}, {.kernel = kernel, .stride = stride, .padding = padding, .ceil_mode = ceil_mode})[1];
  };
  CHECK(extent(8, 3, 2, 1, true) == 5);
  CHECK(extent(4, 3, 3, 1, true) == 2);
  CHECK(extent(9, 2, 3, 0, true) == 3);
  CHECK(extent(1, 2, 2, 1, true) == 1);
  CHECK(extent(5, 2, 2, 0, true) == 3);
  CHECK(extent(5, 2, 2, 0, false) == 2);
  CHECK(extent(6, 3, 2, 0, true) == 3);
  CHECK(extent(4, 1, 2, 0, true) == 2);
}

TEST_CASE("max_pool2d picks the position that PyTorch picks", "[max_pool2d]") {
  const auto position = [](const std::vector<double>& window) {
    return int{ops::max_pool2d(of(window, {1, 2, 2, 1}), {}).argmax.data<uint8_t>()[0]};
  };
  CHECK(position({1, 3, 3, 2}) == 1);  // the first of equals
  CHECK(position({nan, 1, 2, 3}) == 0);
  CHECK(position({1, nan, 2, nan}) == 3);  // the last NaN
  const double lowest = -std::numeric_limits<double>::infinity();
  CHECK(position({lowest, lowest, lowest, lowest}) == 0);
}

TEST_CASE("avg_pool2d counts what PyTorch counts", "[avg_pool2d]") {
  const auto pooled = [](bool ceil_mode, bool count) {
    return ops::avg_pool2d(
        range(1, {1, 4, 4, 1}),
        {.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = ceil_mode, .count_include_pad = count});
  };
  check_equal(pooled(false, true), {14.0 / 9, 10.0 / 3, 19.0 / 3, 11});
  check_equal(pooled(false, false), {3.5, 5, 9.5, 11});
  check_equal(pooled(true, true), {14.0 / 9, 10.0 / 3, 2, 19.0 / 3, 11, 6, 4.5, 7.5, 4});
  check_equal(pooled(true, false), {3.5, 5, 6, 9.5, 11, 12, 13.5, 15, 16});
}

TEST_CASE("batch_norm as in PyTorch", "[batch_norm][batch_norm_update]") {
  const Tensor x = of({1, 2, 3, 5, 8, -1}, {3, 2});
  const ops::Moments m = ops::batch_norm_statistics(x);
  check_equal(ops::batch_norm_apply(x, m, of({1.5, -2}), of({0.1, 0.2}), {}, {}),
              {-1.428573114226354, 0.2, -0.4095243714087846, -2.2494877015442776, 2.138097485635139,
               2.6494877015442775});
  Tensor mean = of({0.5, 0}), var = of({1, 2});
  ops::batch_norm_update(m, 3, 0.1, mean, var);
  check_equal(mean, {0.85, 0.2});
  check_equal(var, {2.2, 2.7});  // the unbiased variances 13 and 9 enter
}

TEST_CASE("softmax_cross_entropy as in PyTorch", "[softmax_cross_entropy]") {
  const Tensor logits = of({1, 2, 3, 0, 0.5, -1}, {2, 3});
  const Tensor hard = Tensor::of<int64_t>(std::vector<int64_t>{2, 0}, {2}, ref);
  const Tensor soft = of({0.5, 0.25, 0.25, 0, 0.5, 0.1}, {2, 3});
  const auto verify = [&](const Tensor& target, double smoothing, double loss,
                          const std::vector<double>& gradient) {
    const ops::CrossEntropyArgs args{.label_smoothing = smoothing};
    const ops::CrossEntropyResult out = ops::softmax_cross_entropy(logits, target, args);
    CHECK(out.loss.item() == Approx(loss).epsilon(1e-12));
    Tensor dlogits = Tensor::empty_like(logits);
    ops::softmax_cross_entropy_backward(of({1}, {}), logits, target, out.log_sum_exp, args, dlogits);
    check_equal(dlogits, gradient);
  };
  verify(hard, 0, 0.7558682848905544,
         {0.04501528658519022, 0.12236423552739882, -0.1673795221125891, -0.3342505197879543,
          0.2732746936330898, 0.060975826154864424});
  verify(hard, 0.1, 0.8142016182238877,
         {0.02834861991852355, 0.10569756886073216, -0.13404618877925578, -0.30091718645462096,
          0.25660802696642315, 0.04430915948819776});
  verify(soft, 0, 1.0850421638232088,
         {-0.20498471341480978, -0.002635764472601179, 0.2076204778874109, 0.09944968812722745,
          -0.08603518382014612, -0.01341450430708135});
  verify(soft, 0.1, 1.1104581092632766,
         {-0.19665138008147645, -0.006802431139267859, 0.2034538112207442, 0.08941300066904263,
          -0.06677086274148915, -0.022642137927553437});
}

const std::vector<ops::Segment> whole{{.begin = 0, .end = 3, .weight_decay = 0.05}};

/// Parameters [1, -2, 0.5] after three updates with the gradient [0.5, -1, 2] times 1, 2, 3.
template <class Step>
Tensor trained(double lr, double max_norm, Step&& step) {
  Tensor parameter = of({1, -2, 0.5});
  for (int t = 1; t <= 3; ++t) {
    const Tensor gradient = of({0.5 * t, -1.0 * t, 2.0 * t});
    Tensor control = of({lr, 1, static_cast<double>(t)});
    if (max_norm > 0) ops::clip_multiplier(ops::segment_squares(whole, gradient), max_norm, control);
    step(control, gradient, parameter);
  }
  return parameter;
}

Tensor sgd(const ops::SgdArgs& args, double max_norm = 0) {
  Tensor momentum = of({0, 0, 0}), no_copy;
  return trained(0.1, max_norm, [&](const Tensor& control, const Tensor& gradient, Tensor& parameter) {
    ops::sgd_step(control, whole, args, gradient, parameter, momentum, no_copy);
  });
}

TEST_CASE("sgd_step as torch.optim.SGD", "[sgd_step][clip_multiplier]") {
  check_equal(sgd({0, false}), {0.686073625, -1.37214725, -0.7034675625});
  check_equal(sgd({0.9, false}), {0.498018625, -0.99603725, -1.4101700625});
  check_equal(sgd({0.9, true}), {0.23652276887499987, -0.47304553774999974, -2.4142653736875004});
  check_equal(sgd({0.9, true}, 3), {0.49010413310590606, -0.9802082662118121, -1.3999399167638757});
}

TEST_CASE("adamw_step as torch.optim.AdamW", "[adamw_step]") {
  Tensor exp_avg = of({0, 0, 0}), exp_avg_sq = of({0, 0, 0}), no_copy;
  const Tensor p = trained(0.01, 0, [&](const Tensor& control, const Tensor& gradient, Tensor& parameter) {
    ops::adamw_step(control, whole, {}, gradient, parameter, exp_avg, exp_avg_sq, no_copy);
  });
  check_equal(p, {0.9692837411964048, -1.967784490866167, 0.47003336595104783});
}

TEST_CASE("clip_multiplier marks a step that is not finite", "[clip_multiplier]") {
  for (const double sum : {nan, std::numeric_limits<double>::infinity()}) {
    Tensor control = of({0.1, 1, 1});
    ops::clip_multiplier(of({sum}), 5, control);
    CHECK(std::isnan(control.data<double>()[ops::Control::multiplier]));
  }
}

}  // namespace
}  // namespace trainer::test
