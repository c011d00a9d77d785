#include "lib/ops/flat.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/flat.cpp"
#include "lib/backend/cpu/simd.h"

namespace trainer::cpu {
#ifndef TRAINER_CPU_FLAT_SCALARS
#define TRAINER_CPU_FLAT_SCALARS
namespace {

/// What a segment's elements are multiplied with, computed in f64 and rounded once.
struct SgdScalars {
  float multiplier, decay, momentum, lr;
  bool nesterov;
};
struct AdamWScalars {
  float multiplier, keep;  ///< of the gradient; of the parameter: 1 - lr decay
  float beta1, one_minus_beta1, beta2, one_minus_beta2;
  float step, second_scale, eps;  ///< lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
};

}  // namespace
#endif
}  // namespace trainer::cpu

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {
namespace {

template <bool kMomentum, bool kNesterov>
void sgd_of(const SgdScalars& s, const float* gradient, float* parameter, float* momentum, int64_t begin,
            int64_t end) {
  for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    const auto p = hn::LoadU(d, parameter + i);
    auto g =
        hn::MulAdd(hn::LoadU(d, gradient + i), hn::Set(d, s.multiplier), hn::Mul(p, hn::Set(d, s.decay)));
    if constexpr (kMomentum) {
      const auto m = hn::MulAdd(hn::LoadU(d, momentum + i), hn::Set(d, s.momentum), g);
      hn::StoreU(m, d, momentum + i);
      g = kNesterov ? hn::MulAdd(m, hn::Set(d, s.momentum), g) : m;
    }
    hn::StoreU(hn::NegMulAdd(g, hn::Set(d, s.lr), p), d, parameter + i);
  });
}

void sgd(const SgdScalars& s, const float* gradient, float* parameter, float* momentum, int64_t begin,
         int64_t end) {
  const auto f = momentum == nullptr ? sgd_of<false, false>
                 : s.nesterov        ? sgd_of<true, true>
                                     : sgd_of<true, false>;
  f(s, gradient, parameter, momentum, begin, end);
}

void adamw(const AdamWScalars& s, const float* gradient, float* parameter, float* exp_avg, float* exp_avg_sq,
           int64_t begin, int64_t end) {
  for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    const auto g = hn::Mul(hn::LoadU(d, gradient + i), hn::Set(d, s.multiplier));
    const auto m =
        hn::MulAdd(hn::LoadU(d, exp_avg + i), hn::Set(d, s.beta1), hn::Mul(g, hn::Set(d, s.one_minus_beta1)));
    const auto v = hn::MulAdd(hn::LoadU(d, exp_avg_sq + i), hn::Set(d, s.beta2),
                              hn::Mul(hn::Mul(g, g), hn::Set(d, s.one_minus_beta2)));
    hn::StoreU(m, d, exp_avg + i);
    hn::StoreU(v, d, exp_avg_sq + i);
    const auto denominator = hn::MulAdd(hn::Sqrt(v), hn::Set(d, s.second_scale), hn::Set(d, s.eps));
    const auto update = hn::Div(hn::Mul(m, hn::Set(d, s.step)), denominator);
    hn::StoreU(hn::MulSub(hn::LoadU(d, parameter + i), hn::Set(d, s.keep), update), d, parameter + i);
  });
}

/// In f64: squares of large gradients overflow f32.
double squares(const float* x, int64_t n) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> half;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  auto a = hn::Zero(d), b = hn::Zero(d);  // two chains, to hide the latency of the addition
  int64_t i = 0;
  for (; i + 2 * lanes <= n; i += 2 * lanes) {
    const auto u = hn::PromoteTo(d, hn::LoadU(half, x + i)),
               v = hn::PromoteTo(d, hn::LoadU(half, x + i + lanes));
    a = hn::MulAdd(u, u, a);
    b = hn::MulAdd(v, v, b);
  }
  double sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(a, b)));
  for (; i < n; ++i) sum += double{x[i]} * double{x[i]};
  return sum;
}

}  // namespace
}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu {
namespace {

HWY_EXPORT(sgd);
HWY_EXPORT(adamw);
HWY_EXPORT(squares);

using ops::Control;
using ops::Segment;

void sgd_step(const Tensor& control, std::span<const Segment> segments, const ops::SgdArgs& args,
              const Tensor& gradient, Tensor& parameter, Tensor& momentum) {
  static constexpr auto op = ops::SgdStep::name;
  const double* scalar = control.data<double>();
  const float* g = floats(op, gradient);
  float *p = floats(op, parameter), *m = args.momentum != 0 ? floats(op, momentum) : nullptr;
  over_segments(segments, parameter.numel(), [&](const Segment& s, int64_t begin, int64_t end) {
    const SgdScalars scalars{static_cast<float>(scalar[Control::multiplier]),
                             static_cast<float>(s.weight_decay), static_cast<float>(args.momentum),
                             static_cast<float>(scalar[Control::lr] * s.lr_factor), args.nesterov};
    HWY_DYNAMIC_DISPATCH(sgd)(scalars, g, p, m, begin, end);
  });
}

void adamw_step(const Tensor& control, std::span<const Segment> segments, const ops::AdamWArgs& args,
                const Tensor& gradient, Tensor& parameter, Tensor& exp_avg, Tensor& exp_avg_sq) {
  static constexpr auto op = ops::AdamWStep::name;
  const double* scalar = control.data<double>();
  const double correction1 = 1 - std::pow(args.beta1, scalar[Control::step]);
  const double correction2 = 1 - std::pow(args.beta2, scalar[Control::step]);
  const float* g = floats(op, gradient);
  float *p = floats(op, parameter), *m = floats(op, exp_avg), *v = floats(op, exp_avg_sq);
  over_segments(segments, parameter.numel(), [&](const Segment& s, int64_t begin, int64_t end) {
    const double lr = scalar[Control::lr] * s.lr_factor;
    const AdamWScalars scalars{static_cast<float>(scalar[Control::multiplier]),
                               static_cast<float>(1 - lr * s.weight_decay),
                               static_cast<float>(args.beta1),
                               static_cast<float>(1 - args.beta1),
                               static_cast<float>(args.beta2),
                               static_cast<float>(1 - args.beta2),
                               static_cast<float>(lr / correction1),
                               static_cast<float>(1 / std::sqrt(correction2)),
                               static_cast<float>(args.eps)};
    HWY_DYNAMIC_DISPATCH(adamw)(scalars, g, p, m, v, begin, end);
  });
}

void sum_of_squares(const Tensor& x, Tensor& sum) {
  const float* px = floats(ops::SumOfSquares::name, x);
  const int64_t chunks = chunks_of(x.numel(), squares_chunk);
  const Storage memory(static_cast<size_t>(chunks) * sizeof(double), Device{});
  auto* sums = reinterpret_cast<double*>(memory.data());
  parallel_chunks(x.numel(), squares_chunk, elementwise_grain, [&](int64_t i, int64_t begin, int64_t end) {
    sums[i] = HWY_DYNAMIC_DISPATCH(squares)(px + begin, end - begin);
  });
  double total = 0;
  for (int64_t i = 0; i < chunks; ++i) total += sums[i];
  *sum.data<double>() = total;
}

void clip_multiplier(const Tensor& squares_sum, double max_norm, Tensor& control) {
  double& multiplier = control.data<double>()[Control::multiplier];
  const double norm = multiplier * std::sqrt(*squares_sum.data<double>());
  multiplier *= std::isfinite(norm) ? std::min(1.0, max_norm / (norm + 1e-6))
                                    : std::numeric_limits<double>::quiet_NaN();
}

constexpr auto cpu = Device::Kind::cpu;
[[maybe_unused]] const bool added[] = {
    Kernels<ops::SgdStep>::add(cpu, sgd_step),
    Kernels<ops::AdamWStep>::add(cpu, adamw_step),
    Kernels<ops::SumOfSquares>::add(cpu, sum_of_squares),
    Kernels<ops::ClipMultiplier>::add(cpu, clip_multiplier),
};

}  // namespace

double squares_of(const float* x, int64_t n) { return HWY_DYNAMIC_DISPATCH(squares)(x, n); }

}  // namespace trainer::cpu
#endif
