#include "lib/ops/adam.h"

#include <cmath>

#include "lib/backend/ref/ref.h"
#include "lib/backend/ref/round.h"

namespace trainer::ref {
namespace {

using ops::AdamArgs;
using ops::Control;
using ops::Segment;

/// Updates the moments with the gradient at i and returns what Adam steps along there.
template <class T>
double adam(const double* scalar, const AdamArgs& args, T gradient, T& exp_avg, T& exp_avg_sq) {
  const double g = scalar[Control::multiplier] * gradient;
  const double m = args.beta1 * exp_avg + (1 - args.beta1) * g;
  const double v = args.beta2 * exp_avg_sq + (1 - args.beta2) * g * g;
  exp_avg = static_cast<T>(m);
  exp_avg_sq = static_cast<T>(v);
  const double correction1 = 1 - std::pow(args.beta1, scalar[Control::step]);
  const double correction2 = 1 - std::pow(args.beta2, scalar[Control::step]);
  return m / correction1 / (std::sqrt(v / correction2) + args.eps);
}

void adamw_step(const Tensor& control, std::span<const Segment> segments, const AdamArgs& args,
                const Tensor& gradient, Tensor& parameter, Tensor& exp_avg, Tensor& exp_avg_sq,
                Tensor& copy) {
  const double* scalar = control.data<double>();
  visit_real(ops::AdamWStep::name, parameter, [&]<class T>(T) {
    const T* g = gradient.data<T>();
    T *p = parameter.data<T>(), *m = exp_avg.data<T>(), *v = exp_avg_sq.data<T>();
    for (const Segment& s : segments) {
      const double lr = scalar[Control::lr] * s.lr_factor;
      for (int64_t i = s.begin; i < s.end; ++i) {
        const double decayed = p[i] * (1 - lr * s.weight_decay);
        p[i] = static_cast<T>(decayed - lr * adam(scalar, args, g[i], m[i], v[i]));
      }
      round(parameter, s, copy);
    }
  });
}

void adam_direction(const Tensor& control, std::span<const Segment> segments, const AdamArgs& args,
                    const Tensor& parameter, Tensor& gradient, Tensor& exp_avg, Tensor& exp_avg_sq) {
  const double* scalar = control.data<double>();
  visit_real(ops::AdamDirection::name, parameter, [&]<class T>(T) {
    const T* p = parameter.data<T>();
    T *g = gradient.data<T>(), *m = exp_avg.data<T>(), *v = exp_avg_sq.data<T>();
    for (const Segment& s : segments) {
      for (int64_t i = s.begin; i < s.end; ++i)
        g[i] = static_cast<T>(adam(scalar, args, g[i], m[i], v[i]) + s.weight_decay * p[i]);
    }
  });
}

constexpr auto ref = Device::Kind::ref;
[[maybe_unused]] const bool added[] = {
    Kernels<ops::AdamWStep>::add(ref, adamw_step),
    Kernels<ops::AdamDirection>::add(ref, adam_direction),
};

}  // namespace
}  // namespace trainer::ref
