#include "apps/trainer/roofline.h"

#include <algorithm>

#include "lib/base/system.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/matmul.h"

namespace trainer::app {
namespace {

/// Best of three, after one run to warm up.
template <class F>
double fastest(Device device, F&& run) {
  Backend& queue = backend(device.kind);
  run();
  double best = 1e30;
  for (int i = 0; i < 3; ++i) {
    queue.synchronize(device.index);
    const double begin = now();
    run();
    queue.synchronize(device.index);
    best = std::min(best, now() - begin);
  }
  return best;
}

}  // namespace

double measure_gflops(Device device, DType dtype) {
  constexpr int64_t n = 2048;
  const Tensor a = Tensor::full({n, n}, 0.5, dtype, device), b = Tensor::full({n, n}, 0.25, dtype, device);
  return 2e-9 * n * n * n / fastest(device, [&] { ops::linear(a, b); });
}

double measure_gbytes(Device device) {
  constexpr int64_t n = int64_t{1} << 26;
  Tensor a = Tensor::full({n}, 1, DType::f32, device);
  const Tensor b = Tensor::full({n}, 2, DType::f32, device);
  return 3e-9 * 4 * n / fastest(device, [&] { ops::add_into(a, b); });
}

}  // namespace trainer::app
