#include "lib/ops/layout.h"

#include "lib/backend/ref/ref.h"

namespace trainer::ref {
namespace {

void swap_axes(const Tensor& x, Tensor& y) {
  const int64_t rows = x.size(1), columns = x.size(2);
  visit_dtype(x.dtype(), [&]<class T>(T) {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    for (int64_t b = 0; b < x.size(0); ++b) {
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < columns; ++c)
          py[(b * columns + c) * rows + r] = px[(b * rows + r) * columns + c];
      }
    }
  });
}

[[maybe_unused]] const bool added = Kernels<ops::SwapAxes>::add(Device::Kind::ref, swap_axes);

}  // namespace
}  // namespace trainer::ref
