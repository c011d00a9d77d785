#include "lib/ops/adam.h"

#include <cmath>

#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/adam.cpp"
#include "lib/backend/cpu/simd.h"

namespace trainer::cpu {
#ifndef TRAINER_CPU_ADAM_SCALARS
#define TRAINER_CPU_ADAM_SCALARS
namespace {

/// What a segment's elements are multiplied with, computed in f64 and rounded once.
struct AdamScalars {
  AdamScalars(const double* control, const ops::AdamArgs& a, double length, double parameter_factor)
      : multiplier(static_cast<float>(control[ops::Control::multiplier])),
        beta1(static_cast<float>(a.beta1)),
        one_minus_beta1(static_cast<float>(1 - a.beta1)),
        beta2(static_cast<float>(a.beta2)),
        one_minus_beta2(static_cast<float>(1 - a.beta2)),
        first_scale(static_cast<float>(length / (1 - std::pow(a.beta1, control[ops::Control::step])))),
        second_scale(static_cast<float>(1 / std::sqrt(1 - std::pow(a.beta2, control[ops::Control::step])))),
        eps(static_cast<float>(a.eps)),
        parameter(static_cast<float>(parameter_factor)) {}

  float multiplier;  ///< of the gradient
  float beta1, one_minus_beta1, beta2, one_minus_beta2;
  float first_scale, second_scale, eps;  ///< length / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
  float parameter;                       ///< what the parameter is multiplied with
};

}  // namespace
#endif
}  // namespace trainer::cpu

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {
namespace {

/// Updates the moments of a vector of elements, and returns what Adam subtracts from them.
template <class D>
HWY_INLINE hn::Vec<D> adam(D d, const AdamScalars& s, const float* gradient, float* exp_avg,
                           float* exp_avg_sq) {
  const auto g = hn::Mul(hn::LoadU(d, gradient), hn::Set(d, s.multiplier));
  const auto m =
      hn::MulAdd(hn::LoadU(d, exp_avg), hn::Set(d, s.beta1), hn::Mul(g, hn::Set(d, s.one_minus_beta1)));
  const auto v = hn::MulAdd(hn::LoadU(d, exp_avg_sq), hn::Set(d, s.beta2),
                            hn::Mul(hn::Mul(g, g), hn::Set(d, s.one_minus_beta2)));
  hn::StoreU(m, d, exp_avg);
  hn::StoreU(v, d, exp_avg_sq);
  const auto denominator = hn::MulAdd(hn::Sqrt(v), hn::Set(d, s.second_scale), hn::Set(d, s.eps));
  return hn::Div(hn::Mul(m, hn::Set(d, s.first_scale)), denominator);
}

void step(const AdamScalars& s, const float* gradient, float* parameter, float* exp_avg, float* exp_avg_sq,
          int64_t begin, int64_t end) {
  for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    const auto update = adam(d, s, gradient + i, exp_avg + i, exp_avg_sq + i);
    hn::StoreU(hn::MulSub(hn::LoadU(d, parameter + i), hn::Set(d, s.parameter), update), d, parameter + i);
  });
}

void direction(const AdamScalars& s, const float* parameter, float* gradient, float* exp_avg,
               float* exp_avg_sq, int64_t begin, int64_t end) {
  for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    const auto along = adam(d, s, gradient + i, exp_avg + i, exp_avg_sq + i);
    hn::StoreU(hn::MulAdd(hn::LoadU(d, parameter + i), hn::Set(d, s.parameter), along), d, gradient + i);
  });
}

}  // namespace
}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu {
namespace {

HWY_EXPORT(step);
HWY_EXPORT(direction);

using ops::Control;
using ops::Segment;

void adamw_step(const Tensor& control, std::span<const Segment> segments, const ops::AdamArgs& args,
                const Tensor& gradient, Tensor& parameter, Tensor& exp_avg, Tensor& exp_avg_sq,
                Tensor& copy) {
  static constexpr auto op = ops::AdamWStep::name;
  const double* scalar = control.data<double>();
  const float* g = floats(op, gradient);
  float *p = floats(op, parameter), *m = floats(op, exp_avg), *v = floats(op, exp_avg_sq);
  update_segments(segments, parameter, copy, [&](const Segment& s, int64_t begin, int64_t end) {
    const double lr = scalar[Control::lr] * s.lr_factor;
    const AdamScalars scalars(scalar, args, lr, 1 - lr * s.weight_decay);
    HWY_DYNAMIC_DISPATCH(step)(scalars, g, p, m, v, begin, end);
  });
}

void adam_direction(const Tensor& control, std::span<const Segment> segments, const ops::AdamArgs& args,
                    const Tensor& parameter, Tensor& gradient, Tensor& exp_avg, Tensor& exp_avg_sq) {
  static constexpr auto op = ops::AdamDirection::name;
  const double* scalar = control.data<double>();
  const float* p = floats(op, parameter);
  float *g = floats(op, gradient), *m = floats(op, exp_avg), *v = floats(op, exp_avg_sq);
  over_segments(segments, parameter.numel(), [&](const Segment& s, int64_t begin, int64_t end) {
    const AdamScalars scalars(scalar, args, 1, s.weight_decay);
    HWY_DYNAMIC_DISPATCH(direction)(scalars, p, g, m, v, begin, end);
  });
}

constexpr auto cpu = Device::Kind::cpu;
[[maybe_unused]] const bool added[] = {
    Kernels<ops::AdamWStep>::add(cpu, adamw_step),
    Kernels<ops::AdamDirection>::add(cpu, adam_direction),
};

}  // namespace
}  // namespace trainer::cpu
#endif
