#include "lib/ops/layer_norm.h"

#include "lib/ops/checks.h"

namespace trainer::ops {

LayerNormResult layer_norm(const Tensor& x, const Tensor& residual, const Tensor& gamma, const Tensor& beta,
                           const LayerNormArgs& args) {
  constexpr std::string_view op = LayerNorm::name;
  expect_floating(op, "input", x);
  check(x.rank() >= 1 && x.shape().back() > 0, "{}: input is {}, expected [..., C]", op, x.shape());
  expect_per_channel(op, "gamma", gamma, x);
  expect_per_channel(op, "beta", beta, x);
  LayerNormResult out;
  if (residual.defined()) {
    expect_floating(op, "residual", residual);
    expect(op, "residual", residual, x.shape(), residual.dtype(), x.device());
    out.sum = Tensor::empty(x.shape(), residual.dtype(), x.device());
  }
  const Shape rows = x.shape().front(x.rank() - 1);
  const DType statistic = accumulation_dtype(x.dtype());
  out.y = Tensor::empty(x.shape(), args.dtype.value_or(x.dtype()), x.device());
  out.mean = Tensor::empty(rows, statistic, x.device());
  out.rstd = Tensor::empty(rows, statistic, x.device());
  Kernels<LayerNorm>::on(x.device())(x, residual, gamma, beta, args.eps, out.sum, out.y, out.mean, out.rstd);
  if (!residual.defined()) out.sum = x;
  return out;
}

void layer_norm_backward(const Tensor& dy, const LayerNormResult& forward, const Tensor& gamma,
                         const Tensor& dsum, Tensor& dx, Tensor& dgamma, Tensor& dbeta) {
  constexpr std::string_view op = LayerNormBackward::name;
  const Tensor& sum = forward.sum;
  expect_floating(op, "sum", sum);
  expect_floating(op, "dy", dy);
  expect(op, "dy", dy, sum.shape(), dy.dtype(), sum.device());
  const Shape rows = sum.shape().front(sum.rank() - 1);
  const DType statistic = accumulation_dtype(sum.dtype());
  expect(op, "mean", forward.mean, rows, statistic, sum.device());
  expect(op, "rstd", forward.rstd, rows, statistic, sum.device());
  expect_per_channel(op, "gamma", gamma, sum);
  if (dsum.defined()) expect_like(op, "dsum", dsum, sum);
  if (dx.defined()) expect_like(op, "dx", dx, sum);
  check(dgamma.defined() == dbeta.defined(), "{}: one of dgamma and dbeta is missing", op);
  if (dgamma.defined()) {
    expect_per_channel(op, "dgamma", dgamma, sum);
    expect_per_channel(op, "dbeta", dbeta, sum);
  }
  Kernels<LayerNormBackward>::on(sum.device())(dy, sum, forward.mean, forward.rstd, gamma, dsum, dx, dgamma,
                                               dbeta);
}

}  // namespace trainer::ops
