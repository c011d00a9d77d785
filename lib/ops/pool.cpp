#include "lib/ops/pool.h"

#include "lib/ops/checks.h"

namespace trainer::ops {
namespace {

int64_t out_extent(int64_t in, int64_t kernel, int64_t stride, int64_t padding, bool ceil_mode) {
  check(in > 0 && in + 2 * padding >= kernel,
        "pool2d: a window of {} does not fit into an input of {} with padding {}", kernel, in, padding);
  const int64_t steps = in + 2 * padding - kernel;
  const int64_t out = (steps + (ceil_mode ? stride - 1 : 0)) / stride + 1;
  // A window that would start in the padding on the far side sees no input.
  return ceil_mode && (out - 1) * stride >= in + padding ? out - 1 : out;
}

}  // namespace

Shape pool2d_shape(const Shape& x, const Pool2dArgs& a) {
  check(x.rank() == 4, "pool2d: input is {}, expected [N, H, W, C]", x);
  check(a.kernel.h > 0 && a.kernel.w > 0, "pool2d: kernel {}x{} must be positive", a.kernel.h, a.kernel.w);
  check(a.stride.h > 0 && a.stride.w > 0, "pool2d: stride {}x{} must be positive", a.stride.h, a.stride.w);
  check(a.padding.h >= 0 && a.padding.w >= 0, "pool2d: padding {}x{} is negative", a.padding.h, a.padding.w);
  check(2 * a.padding.h <= a.kernel.h && 2 * a.padding.w <= a.kernel.w,
        "pool2d: padding {}x{} is more than half of the kernel {}x{}", a.padding.h, a.padding.w, a.kernel.h,
        a.kernel.w);
  return {x[0], out_extent(x[1], a.kernel.h, a.stride.h, a.padding.h, a.ceil_mode),
          out_extent(x[2], a.kernel.w, a.stride.w, a.padding.w, a.ceil_mode), x[3]};
}

MaxPoolResult max_pool2d(const Tensor& x, const Pool2dArgs& args) {
  expect_floating(MaxPool2d::name, "input", x);
  const Shape shape = pool2d_shape(x.shape(), args);
  check(args.kernel.h * args.kernel.w <= 256, "max_pool2d: a {}x{} window has more than 256 positions",
        args.kernel.h, args.kernel.w);
  MaxPoolResult out{Tensor::empty(shape, x.dtype(), x.device()), Tensor::empty(shape, DType::u8, x.device())};
  Kernels<MaxPool2d>::on(x.device())(x, args, out.y, out.argmax);
  return out;
}

void max_pool2d_backward(const Tensor& dy, const Tensor& argmax, const Pool2dArgs& args, Tensor& dx) {
  constexpr std::string_view op = MaxPool2dBackward::name;
  expect_floating(op, "dx", dx);
  const Shape shape = pool2d_shape(dx.shape(), args);
  expect(op, "dy", dy, shape, dx.dtype(), dx.device());
  expect(op, "argmax", argmax, shape, DType::u8, dx.device());
  Kernels<MaxPool2dBackward>::on(dx.device())(dy, argmax, args, dx);
}

Tensor avg_pool2d(const Tensor& x, const Pool2dArgs& args) {
  expect_floating(AvgPool2d::name, "input", x);
  Tensor y = Tensor::empty(pool2d_shape(x.shape(), args), x.dtype(), x.device());
  Kernels<AvgPool2d>::on(x.device())(x, args, y);
  return y;
}

void avg_pool2d_backward(const Tensor& dy, const Pool2dArgs& args, Tensor& dx) {
  expect_floating(AvgPool2dBackward::name, "dx", dx);
  expect(AvgPool2dBackward::name, "dy", dy, pool2d_shape(dx.shape(), args), dx.dtype(), dx.device());
  Kernels<AvgPool2dBackward>::on(dx.device())(dy, args, dx);
}

namespace {
void expect_positions(std::string_view op, std::string_view what, const Tensor& t) {
  check(t.rank() >= 2 && t.shape().drop_front().rows() > 0,
        "{}: {} is {}, expected [N, spatial..., C] with a position at least", op, what, t.shape());
}
}  // namespace

Tensor global_avg_pool(const Tensor& x) {
  expect_floating(GlobalAvgPool::name, "input", x);
  expect_positions(GlobalAvgPool::name, "input", x);
  Tensor y = Tensor::empty({x.size(0), x.size(-1)}, x.dtype(), x.device());
  Kernels<GlobalAvgPool>::on(x.device())(x, y);
  return y;
}

void global_avg_pool_backward(const Tensor& dy, Tensor& dx) {
  expect_floating(GlobalAvgPoolBackward::name, "dx", dx);
  expect_positions(GlobalAvgPoolBackward::name, "dx", dx);
  expect(GlobalAvgPoolBackward::name, "dy", dy, {dx.size(0), dx.size(-1)}, dx.dtype(), dx.device());
  Kernels<GlobalAvgPoolBackward>::on(dx.device())(dy, dx);
}

}  // namespace trainer::ops
