#include "lib/ops/flat.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/backend/ref/ref.h"
#include "lib/backend/ref/round.h"

namespace trainer::ref {
namespace {

using ops::Control;
using ops::Segment;
using ops::SgdArgs;

void sgd_step(const Tensor& control, std::span<const Segment> segments, const SgdArgs& args,
              const Tensor& gradient, Tensor& parameter, Tensor& momentum, Tensor& copy) {
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
      round(parameter, s, copy);
    }
  });
}

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

void clip_multiplier(const Tensor& squares, double max_norm, Tensor& control) {
  double& multiplier = control.data<double>()[Control::multiplier];
  const double norm = multiplier * std::sqrt(*squares.data<double>());
  multiplier *= std::isfinite(norm) ? std::min(1.0, max_norm / (norm + 1e-6))
                                    : std::numeric_limits<double>::quiet_NaN();
}

constexpr auto ref = Device::Kind::ref;
[[maybe_unused]] const bool added[] = {
    Kernels<ops::SgdStep>::add(ref, sgd_step),
    Kernels<ops::SegmentSquares>::add(ref, segment_squares),
    Kernels<ops::ClipMultiplier>::add(ref, clip_multiplier),
};

}  // namespace
}  // namespace trainer::ref
