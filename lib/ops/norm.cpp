#include "lib/ops/norm.h"

#include "lib/ops/checks.h"

namespace trainer::ops {
namespace {

void expect_input(std::string_view op, const Tensor& x) {
  expect_floating(op, "input", x);
  check(x.rank() >= 1, "{}: input is {}, expected [..., C]", op, x.shape());
}

void expect_moments(std::string_view op, const Moments& m, const Tensor& x) {
  expect_per_channel(op, "mean", m.mean, x);
  expect_per_channel(op, "variance", m.var, x);
}

/// What both backward passes read.
void expect_backward(std::string_view op, const Tensor& dy, const Tensor& x, const Tensor& y,
                     const Moments& m, const BatchNormArgs& args) {
  expect_input(op, x);
  expect_like(op, "dy", dy, x);
  if (args.activation != Activation::none) expect_like(op, "y", y, x);
  expect_moments(op, m, x);
}

}  // namespace

Moments batch_norm_statistics(const Tensor& x) {
  expect_input(BatchNormStatistics::name, x);
  const Shape shape{x.shape().back()};
  const DType dtype = accumulation_dtype(x.dtype());
  Moments m{Tensor::empty(shape, dtype, x.device()), Tensor::empty(shape, dtype, x.device())};
  Kernels<BatchNormStatistics>::on(x.device())(x, m.mean, m.var);
  return m;
}

Tensor batch_norm_sums(const Moments& m, double count) {
  expect_floating(BatchNormSums::name, "mean", m.mean);
  expect_like(BatchNormSums::name, "variance", m.var, m.mean);
  Tensor sums = Tensor::empty({2, m.mean.numel()}, DType::f64, m.mean.device());
  Kernels<BatchNormSums>::on(sums.device())(m.mean, m.var, count, sums);
  return sums;
}

Moments batch_norm_moments(const Tensor& sums, double count, DType dtype) {
  check(sums.rank() == 2, "{}: the sums are {}, expected [2, C]", BatchNormMoments::name, sums.shape());
  expect(BatchNormMoments::name, "sums", sums, {2, sums.size(1)}, DType::f64, sums.device());
  check(count > 0, "{}: no rows", BatchNormMoments::name);
  const Shape shape{sums.size(1)};
  Moments m{Tensor::empty(shape, dtype, sums.device()), Tensor::empty(shape, dtype, sums.device())};
  Kernels<BatchNormMoments>::on(sums.device())(sums, count, m.mean, m.var);
  return m;
}

Tensor batch_norm_apply(const Tensor& x, const Moments& m, const Tensor& gamma, const Tensor& beta,
                        const Tensor& residual, const BatchNormArgs& args) {
  constexpr std::string_view op = BatchNormApply::name;
  expect_input(op, x);
  expect_moments(op, m, x);
  expect_per_channel(op, "gamma", gamma, x);
  expect_per_channel(op, "beta", beta, x);
  if (residual.defined()) expect_like(op, "residual", residual, x);
  Tensor y = Tensor::empty_like(x);
  Kernels<BatchNormApply>::on(x.device())(x, m.mean, m.var, gamma, beta, residual, args, y);
  return y;
}

void batch_norm_backward_reduce(const Tensor& dy, const Tensor& x, const Tensor& y, const Moments& m,
                                const BatchNormArgs& args, Tensor& dgamma, Tensor& dbeta) {
  constexpr std::string_view op = BatchNormBackwardReduce::name;
  expect_backward(op, dy, x, y, m, args);
  expect_per_channel(op, "dgamma", dgamma, x);
  expect_per_channel(op, "dbeta", dbeta, x);
  Kernels<BatchNormBackwardReduce>::on(x.device())(dy, x, y, m.mean, m.var, args, dgamma, dbeta);
}

void batch_norm_backward_apply(const Tensor& dy, const Tensor& x, const Tensor& y, const Moments& m,
                               const Tensor& gamma, const Tensor& sum_dy_xhat, const Tensor& sum_dy,
                               double count, const BatchNormArgs& args, Tensor& dx, Tensor& dresidual) {
  constexpr std::string_view op = BatchNormBackwardApply::name;
  expect_backward(op, dy, x, y, m, args);
  expect_per_channel(op, "gamma", gamma, x);
  check(sum_dy_xhat.defined() == sum_dy.defined(), "{}: one of the two sums is missing", op);
  if (sum_dy.defined()) {
    expect_per_channel(op, "sum_dy_xhat", sum_dy_xhat, x);
    expect_per_channel(op, "sum_dy", sum_dy, x);
  }
  if (dx.defined()) expect_like(op, "dx", dx, x);
  if (dresidual.defined()) expect_like(op, "dresidual", dresidual, x);
  Kernels<BatchNormBackwardApply>::on(x.device())(dy, x, y, m.mean, m.var, gamma, sum_dy_xhat, sum_dy, count,
                                                  args, dx, dresidual);
}

void batch_norm_update(const Moments& m, double count, double momentum, Tensor& running_mean,
                       Tensor& running_var) {
  constexpr std::string_view op = BatchNormUpdate::name;
  expect_floating(op, "mean", m.mean);
  expect_like(op, "variance", m.var, m.mean);
  expect_like(op, "running mean", running_mean, m.mean);
  expect_like(op, "running variance", running_var, m.mean);
  check(count > 1, "{}: {} values per channel have no unbiased variance; training needs a larger batch", op,
        count);
  Kernels<BatchNormUpdate>::on(m.mean.device())(m.mean, m.var, count, momentum, running_mean, running_var);
}

}  // namespace trainer::ops
