#include "lib/ops/conv.h"

#include "lib/ops/checks.h"

namespace trainer::ops {
namespace {

int64_t out_extent(std::string_view axis, int64_t in, int64_t kernel, int64_t stride, int64_t padding,
                   int64_t dilation) {
  const int64_t padded = in + 2 * padding;
  const int64_t reach = dilation * (kernel - 1) + 1;
  check(in > 0 && kernel > 0 && reach <= padded,
        "conv2d: a kernel of {} {} does not fit into an input of {} with padding", reach, axis, padded);
  return (padded - reach) / stride + 1;
}

}  // namespace

Shape conv2d_shape(const Shape& x, const Shape& w, const Conv2dArgs& a) {
  check(x.rank() == 4, "conv2d: input is {}, expected [N, H, W, C]", x);
  check(w.rank() == 4, "conv2d: weight is {}, expected [O, KH, KW, C/groups]", w);
  check(a.stride.h > 0 && a.stride.w > 0, "conv2d: stride {}x{} must be positive", a.stride.h, a.stride.w);
  check(a.dilation.h > 0 && a.dilation.w > 0, "conv2d: dilation {}x{} must be positive", a.dilation.h,
        a.dilation.w);
  check(a.padding.h >= 0 && a.padding.w >= 0, "conv2d: padding {}x{} is negative", a.padding.h, a.padding.w);
  check(a.groups > 0 && w[0] % a.groups == 0, "conv2d: {} output channels do not divide into {} groups", w[0],
        a.groups);
  const int64_t expected = w[3] * a.groups;
  check(x[3] == expected, "conv2d: input has {} channels, weight expects {} (groups {})", x[3], expected,
        a.groups);
  return {x[0], out_extent("rows", x[1], w[1], a.stride.h, a.padding.h, a.dilation.h),
          out_extent("columns", x[2], w[2], a.stride.w, a.padding.w, a.dilation.w), w[0]};
}

Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const Conv2dArgs& args) {
  expect_floating(Conv2d::name, "input", x);
  expect_type(Conv2d::name, "weight", w, x.dtype(), x.device());
  const Shape shape = conv2d_shape(x.shape(), w.shape(), args);
  if (bias.defined()) expect_parameter(Conv2d::name, "bias", bias, {w.size(0)}, x);
  Tensor y = Tensor::empty(shape, x.dtype(), x.device());
  Kernels<Conv2d>::on(x.device())(x, w, bias, args, y);
  return y;
}

void conv2d_backward_data(const Tensor& dy, const Tensor& w, const Conv2dArgs& args, Tensor& dx) {
  constexpr std::string_view op = Conv2dBackwardData::name;
  expect_floating(op, "dx", dx);
  expect_type(op, "weight", w, dx.dtype(), dx.device());
  expect(op, "dy", dy, conv2d_shape(dx.shape(), w.shape(), args), dx.dtype(), dx.device());
  Kernels<Conv2dBackwardData>::on(dx.device())(dy, w, args, dx);
}

void conv2d_backward_weight(const Tensor& dy, const Tensor& x, const Conv2dArgs& args, Tensor& dw,
                            Tensor& dbias) {
  constexpr std::string_view op = Conv2dBackwardWeight::name;
  expect_floating(op, "input", x);
  expect_floating(op, "dw", dw);
  expect_parameter(op, "dw", dw, dw.shape(), x);
  expect(op, "dy", dy, conv2d_shape(x.shape(), dw.shape(), args), x.dtype(), x.device());
  if (dbias.defined()) expect_parameter(op, "dbias", dbias, {dw.size(0)}, x);
  Kernels<Conv2dBackwardWeight>::on(x.device())(dy, x, args, dw, dbias);
}

}  // namespace trainer::ops
