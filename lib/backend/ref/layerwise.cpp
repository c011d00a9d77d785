#include "lib/ops/layerwise.h"

#include <algorithm>
#include <cmath>

#include "lib/backend/ref/ref.h"

namespace trainer::ref {
namespace {

using ops::Control;
using ops::Segment;

void segment_squares(std::span<const Segment> segments, const Tensor& x, Tensor& sums) {
  visit_real(ops::SegmentSquares::name, x, [&]<class T>(T) {
    double* out = sums.data<double>();
    for (const Segment& s : segments) {
      double squares = 0;
      for (int64_t i = s.begin; i < s.end; ++i) squares += double{x.data<T>()[i]} * double{x.data<T>()[i]};
      *out++ = squares;
    }
  });
}

void adam_direction(const Tensor& control, std::span<const Segment> segments, const ops::AdamWArgs& args,
                    const Tensor& parameter, Tensor& gradient, Tensor& exp_avg, Tensor& exp_avg_sq) {
  const double* scalar = control.data<double>();
  const double correction1 = 1 - std::pow(args.beta1, scalar[Control::step]);
  const double correction2 = 1 - std::pow(args.beta2, scalar[Control::step]);
  visit_real(ops::AdamDirection::name, parameter, [&]<class T>(T) {
    const T* p = parameter.data<T>();
    T *g = gradient.data<T>(), *m = exp_avg.data<T>(), *v = exp_avg_sq.data<T>();
    for (const Segment& s : segments) {
      for (int64_t i = s.begin; i < s.end; ++i) {
        const double d = scalar[Control::multiplier] * g[i];
        const double first = args.beta1 * m[i] + (1 - args.beta1) * d;
        const double second = args.beta2 * v[i] + (1 - args.beta2) * d * d;
        m[i] = static_cast<T>(first);
        v[i] = static_cast<T>(second);
        g[i] = static_cast<T>((first / correction1) / (std::sqrt(second / correction2) + args.eps) +
                              s.weight_decay * p[i]);
      }
    }
  });
}

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
                 const Tensor& direction, Tensor& parameter) {
  const double* scalar = control.data<double>();
  const double* factor = scale.data<double>();
  visit_real(ops::ScaledStep::name, parameter, [&]<class T>(T) {
    const T* d = direction.data<T>();
    T* p = parameter.data<T>();
    for (const Segment& s : segments) {
      const double length = scalar[Control::lr] * s.lr_factor * *factor++;
      for (int64_t i = s.begin; i < s.end; ++i) p[i] = static_cast<T>(p[i] - length * d[i]);
    }
  });
}

constexpr auto ref = Device::Kind::ref;
[[maybe_unused]] const bool added[] = {
    Kernels<ops::SegmentSquares>::add(ref, segment_squares),
    Kernels<ops::AdamDirection>::add(ref, adam_direction),
    Kernels<ops::TrustRatio>::add(ref, trust_ratio),
    Kernels<ops::ScaledStep>::add(ref, scaled_step),
};

}  // namespace
}  // namespace trainer::ref
