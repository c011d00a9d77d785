#include "lib/ops/flat.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/backend/ref/ref.h"

namespace trainer::ref {
namespace {

using ops::AdamWArgs;
using ops::Control;
using ops::Segment;
using ops::SgdArgs;

void sgd_step(const Tensor& control, std::span<const Segment> segments, const SgdArgs& args,
              const Tensor& gradient, Tensor& parameter, Tensor& momentum) {
  const double* scalar = control.data<double>();
  visit_real(ops::SgdStep::name, parameter, [&]<class T>(T) {
    const T* g = gradient.data<T>();
    T* p = parameter.data<T>();
    T* m = args.momentum != 0 ? momentum.data<T>() : nullptr;
    for (const Segment& s : segments) {
      const double lr = scalar[Control::lr] * s.lr_factor;
      for (int64_t i = s.begin; i < s.end; ++i) {
        double d = scalar[Control::multiplier] * g[i] + s.weight_decay * p[i];
        if (m != nullptr) {
          const double average = args.momentum * m[i] + d;
          m[i] = static_cast<T>(average);
          d = args.nesterov ? d + args.momentum * average : average;
        }
        p[i] = static_cast<T>(p[i] - lr * d);
      }
    }
  });
}

void adamw_step(const Tensor& control, std::span<const Segment> segments, const AdamWArgs& args,
                const Tensor& gradient, Tensor& parameter, Tensor& exp_avg, Tensor& exp_avg_sq) {
  const double* scalar = control.data<double>();
  const double correction1 = 1 - std::pow(args.beta1, scalar[Control::step]);
  const double correction2 = 1 - std::pow(args.beta2, scalar[Control::step]);
  visit_real(ops::AdamWStep::name, parameter, [&]<class T>(T) {
    const T* g = gradient.data<T>();
    T *p = parameter.data<T>(), *m = exp_avg.data<T>(), *v = exp_avg_sq.data<T>();
    for (const Segment& s : segments) {
      const double lr = scalar[Control::lr] * s.lr_factor;
      for (int64_t i = s.begin; i < s.end; ++i) {
        const double d = scalar[Control::multiplier] * g[i];
        const double first = args.beta1 * m[i] + (1 - args.beta1) * d;
        const double second = args.beta2 * v[i] + (1 - args.beta2) * d * d;
        m[i] = static_cast<T>(first);
        v[i] = static_cast<T>(second);
        const double decayed = p[i] * (1 - lr * s.weight_decay);
        p[i] = static_cast<T>(decayed -
                              lr * (first / correction1) / (std::sqrt(second / correction2) + args.eps));
      }
    }
  });
}

void sum_of_squares(const Tensor& x, Tensor& sum) {
  visit_real(ops::SumOfSquares::name, x, [&]<class T>(T) {
    double squares = 0;
    for (const T v : x.span<T>()) squares += double{v} * double{v};
    *sum.data<double>() = squares;
  });
}

void clip_multiplier(const Tensor& sum_of_squares, double max_norm, Tensor& control) {
  double& multiplier = control.data<double>()[Control::multiplier];
  const double norm = multiplier * std::sqrt(*sum_of_squares.data<double>());
  multiplier *= std::isfinite(norm) ? std::min(1.0, max_norm / (norm + 1e-6))
                                    : std::numeric_limits<double>::quiet_NaN();
}

constexpr auto ref = Device::Kind::ref;
[[maybe_unused]] const bool added[] = {
    Kernels<ops::SgdStep>::add(ref, sgd_step),
    Kernels<ops::AdamWStep>::add(ref, adamw_step),
    Kernels<ops::SumOfSquares>::add(ref, sum_of_squares),
    Kernels<ops::ClipMultiplier>::add(ref, clip_multiplier),
};

}  // namespace
}  // namespace trainer::ref
