#include "lib/ops/layerwise.h"

#include <algorithm>
#include <cmath>

#include "lib/backend/ref/ref.h"
#include "lib/backend/ref/round.h"

namespace trainer::ref {
namespace {

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
  const double* scalar = control.data<double>();
  const double* factor = scale.data<double>();
  visit_real(ops::ScaledStep::name, parameter, [&]<class T>(T) {
    const T* d = direction.data<T>();
    T* p = parameter.data<T>();
    for (const Segment& s : segments) {
      const double length = scalar[Control::lr] * s.lr_factor * *factor++;
      for (int64_t i = s.begin; i < s.end; ++i) p[i] = static_cast<T>(p[i] - length * d[i]);
      round(parameter, s, copy);
    }
  });
}

constexpr auto ref = Device::Kind::ref;
[[maybe_unused]] const bool added[] = {
    Kernels<ops::TrustRatio>::add(ref, trust_ratio),
    Kernels<ops::ScaledStep>::add(ref, scaled_step),
};

}  // namespace
}  // namespace trainer::ref
