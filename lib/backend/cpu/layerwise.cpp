#include "lib/ops/layerwise.h"

#include <algorithm>
#include <cmath>

#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/layerwise.cpp"
#include "lib/backend/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {
namespace {

/// parameter -= length direction
void step(float length, const float* direction, float* parameter, int64_t begin, int64_t end) {
  for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    hn::StoreU(hn::NegMulAdd(hn::LoadU(d, direction + i), hn::Set(d, length), hn::LoadU(d, parameter + i)), d,
               parameter + i);
  });
}

}  // namespace
}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu {
namespace {

HWY_EXPORT(step);

using ops::Control;
using ops::Segment;

void trust_ratio(std::span<const Segment> segments, const ops::TrustRatioArgs& args,
                 const Tensor& parameter_squares, const Tensor& direction_squares, Tensor& ratio) {
  const double *p = parameter_squares.data<double>(), *d = direction_squares.data<double>();
  double* out = ratio.data<double>();
  for (size_t i = 0; i < segments.size(); ++i) {
    const bool adapts = (args.always || segments[i].weight_decay != 0) && p[i] > 0 && d[i] > 0;
    out[i] = adapts ? std::sqrt(p[i]) / std::sqrt(d[i]) : 1;
    if (args.clip) out[i] = std::min(out[i], 1.0);
  }
}

void scaled_step(const Tensor& control, std::span<const Segment> segments, const Tensor& scale,
                 const Tensor& direction, Tensor& parameter, Tensor& copy) {
  static constexpr auto op = ops::ScaledStep::name;
  const double lr = control.data<double>()[Control::lr];
  const double* factor = scale.data<double>();
  const float* d = floats(op, direction);
  float* p = floats(op, parameter);
  update_segments(segments, parameter, copy, [&](const Segment& s, int64_t begin, int64_t end) {
    const double length = lr * s.lr_factor * factor[&s - segments.data()];
    HWY_DYNAMIC_DISPATCH(step)(static_cast<float>(length), d, p, begin, end);
  });
}

constexpr auto cpu = Device::Kind::cpu;
[[maybe_unused]] const bool added[] = {
    Kernels<ops::TrustRatio>::add(cpu, trust_ratio),
    Kernels<ops::ScaledStep>::add(cpu, scaled_step),
};

}  // namespace
}  // namespace trainer::cpu
#endif
