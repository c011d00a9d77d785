#include "lib/ops/elementwise.h"

#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/elementwise.cpp"
#include "lib/backend/cpu/simd.h"

#include "lib/backend/cpu/activation-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {
namespace {

void activation(const float* x, ops::Activation activation, float* y, int64_t begin, int64_t end) {
  ops::visit(activation, [&](auto a) HWY_ATTR {
    for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
      hn::StoreU(activate<a()>(d, hn::LoadU(d, x + i)), d, y + i);
    });
  });
}

void activation_backward(const float* dy, const float* y, ops::Activation activation, float* dx,
                         int64_t begin, int64_t end) {
  ops::visit(activation, [&](auto a) HWY_ATTR {
    for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
      hn::StoreU(activation_gradient<a()>(d, dy, y, i), d, dx + i);
    });
  });
}

void add(const float* a, const float* b, float* y, int64_t begin, int64_t end) {
  for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    hn::StoreU(hn::Add(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, y + i);
  });
}

void scale(const float* x, float factor, float* y, int64_t begin, int64_t end) {
  for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    hn::StoreU(hn::Mul(hn::LoadU(d, x + i), hn::Set(d, factor)), d, y + i);
  });
}

}  // namespace
}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu {
namespace {

HWY_EXPORT(activation);
HWY_EXPORT(activation_backward);
HWY_EXPORT(add);
HWY_EXPORT(scale);

void activate_kernel(const Tensor& x, ops::Activation a, Tensor& y) {
  const float* px = floats(ops::Activate::name, x);
  float* py = floats(ops::Activate::name, y);
  parallel_for(y.numel(), elementwise_grain, [=](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(activation)(px, a, py, begin, end);
  });
}

void activate_backward_kernel(const Tensor& dy, const Tensor& y, ops::Activation a, Tensor& dx) {
  const float *g = floats(ops::ActivateBackward::name, dy), *py = floats(ops::ActivateBackward::name, y);
  float* pdx = floats(ops::ActivateBackward::name, dx);
  parallel_for(dx.numel(), elementwise_grain, [=](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(activation_backward)(g, py, a, pdx, begin, end);
  });
}

void add_kernel(const Tensor& a, const Tensor& b, Tensor& y) {
  const float *pa = floats(ops::Add::name, a), *pb = floats(ops::Add::name, b);
  float* py = floats(ops::Add::name, y);
  parallel_for(y.numel(), elementwise_grain, [=](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(add)(pa, pb, py, begin, end);
  });
}

void scale_kernel(const Tensor& x, double factor, Tensor& y) {
  const float* px = floats(ops::Scale::name, x);
  float* py = floats(ops::Scale::name, y);
  parallel_for(y.numel(), elementwise_grain, [=](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(scale)(px, static_cast<float>(factor), py, begin, end);
  });
}

/// Every pair of dtypes, as Tensor::to() converts them, in parallel slices.
void cast_kernel(const Tensor& x, Tensor& y) {
  const Tensor from = x.view({x.numel()}), to = y.view({y.numel()});
  parallel_for(x.numel(), elementwise_grain, [&](int64_t begin, int64_t end) {
    to.slice(begin, end).copy_from(from.slice(begin, end).to(to.dtype()));
  });
}

constexpr auto cpu = Device::Kind::cpu;
[[maybe_unused]] const bool added[] = {
    Kernels<ops::Activate>::add(cpu, activate_kernel),
    Kernels<ops::ActivateBackward>::add(cpu, activate_backward_kernel),
    Kernels<ops::Add>::add(cpu, add_kernel),
    Kernels<ops::Scale>::add(cpu, scale_kernel),
    Kernels<ops::Cast>::add(cpu, cast_kernel),
};

}  // namespace
}  // namespace trainer::cpu
#endif
