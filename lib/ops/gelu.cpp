#include "lib/ops/gelu.h"

#include "lib/ops/checks.h"

namespace trainer::ops {

GeluResult gelu(const Tensor& x, GeluForm form, bool differentiated) {
  expect_floating(Gelu::name, "input", x);
  GeluResult r{.y = Tensor::empty_like(x), .slope = {}};
  if (differentiated) r.slope = Tensor::empty_like(x);
  Kernels<Gelu>::on(x.device())(x, form, r.y, r.slope);
  return r;
}

void gelu_backward(const Tensor& dy, const Tensor& slope, Tensor& dx, Tensor& dbias) {
  constexpr std::string_view op = GeluBackward::name;
  expect_floating(op, "slope", slope);
  expect_like(op, "dy", dy, slope);
  expect_like(op, "dx", dx, slope);
  if (dbias.defined()) expect_parameter(op, "dbias", dbias, {slope.shape().back()}, slope);
  Kernels<GeluBackward>::on(slope.device())(dy, slope, dx, dbias);
}

}  // namespace trainer::ops
