#include "lib/ops/layout.h"

#include "lib/ops/checks.h"

namespace trainer::ops {
namespace {

/// x as [N, rows, columns], transposed to [N, columns, rows] and viewed as `shape`.
Tensor swap_axes(const Tensor& x, int64_t rows, int64_t columns, const Shape& shape) {
  const Tensor from = x.view({x.size(0), rows, columns});
  Tensor y = Tensor::empty({x.size(0), columns, rows}, x.dtype(), x.device());
  Kernels<SwapAxes>::on(x.device())(from, y);
  return y.view(shape);
}

}  // namespace

Tensor to_channels_first(const Tensor& x) {
  check(x.defined(), "to_channels_first: the input is undefined");
  if (x.rank() <= 2) return x;
  Shape shape = x.shape().with(1, x.size(-1));
  for (int i = 2; i < x.rank(); ++i) shape[i] = x.size(i - 1);
  return swap_axes(x, shape.drop_front(2).numel(), x.size(-1), shape);
}

Tensor to_channels_last(const Tensor& x) {
  check(x.defined(), "to_channels_last: the input is undefined");
  if (x.rank() <= 2) return x;
  Shape shape = x.shape().with(-1, x.size(1));
  for (int i = 2; i < x.rank(); ++i) shape[i - 1] = x.size(i);
  return swap_axes(x, x.size(1), x.shape().drop_front(2).numel(), shape);
}

}  // namespace trainer::ops
