#include "lib/ops/layerwise.h"

#include <algorithm>
#include <cmath>

#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/layerwise.cpp"
#include "lib/backend/cpu/simd.h"

namespace trainer::cpu {
#ifndef TRAINER_CPU_LAYERWISE_SCALARS
#define TRAINER_CPU_LAYERWISE_SCALARS
namespace {

/// What a segment's elements are multiplied with, computed in f64 and rounded once.
struct DirectionScalars {
  float multiplier, decay;
  float beta1, one_minus_beta1, beta2, one_minus_beta2;
  float first_scale, second_scale, eps;  ///< 1 / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
};

}  // namespace
#endif
}  // namespace trainer::cpu

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {
namespace {

void adam_direction(const DirectionScalars& s, const float* parameter, float* gradient, float* exp_avg,
                    float* exp_avg_sq, int64_t begin, int64_t end) {
  for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    const auto g = hn::Mul(hn::LoadU(d, gradient + i), hn::Set(d, s.multiplier));
    const auto m =
        hn::MulAdd(hn::LoadU(d, exp_avg + i), hn::Set(d, s.beta1), hn::Mul(g, hn::Set(d, s.one_minus_beta1)));
    const auto v = hn::MulAdd(hn::LoadU(d, exp_avg_sq + i), hn::Set(d, s.beta2),
                              hn::Mul(hn::Mul(g, g), hn::Set(d, s.one_minus_beta2)));
    hn::StoreU(m, d, exp_avg + i);
    hn::StoreU(v, d, exp_avg_sq + i);
    const auto denominator = hn::MulAdd(hn::Sqrt(v), hn::Set(d, s.second_scale), hn::Set(d, s.eps));
    const auto adam = hn::Div(hn::Mul(m, hn::Set(d, s.first_scale)), denominator);
    hn::StoreU(hn::MulAdd(hn::LoadU(d, parameter + i), hn::Set(d, s.decay), adam), d, gradient + i);
  });
}

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

HWY_EXPORT(adam_direction);
HWY_EXPORT(step);

using ops::Control;
using ops::Segment;

int64_t size_of(const Segment& s) { return s.end - s.begin; }

/// Threads share out the elements of all segments, so that one large tensor or thousands of short rows go as
/// fast; a chunk belongs to the thread whose share it begins in.
void segment_squares(std::span<const Segment> segments, const Tensor& x, Tensor& sums) {
  static constexpr int64_t chunk = squares_chunk;
  const float* px = floats(ops::SegmentSquares::name, x);
  int64_t elements = 0, chunks = 0;
  for (const Segment& s : segments) {
    elements += size_of(s);
    chunks += chunks_of(size_of(s), chunk);
  }
  const Storage memory(static_cast<size_t>(chunks) * sizeof(double), Device{});
  auto* parts = reinterpret_cast<double*>(memory.data());
  parallel_for(elements, elementwise_grain, [&](int64_t first, int64_t last) {
    int64_t before = 0;  // elements of the segments passed so far
    double* part = parts;
    for (const Segment& s : segments) {
      const int64_t n = chunks_of(size_of(s), chunk);
      const int64_t from = std::max<int64_t>(0, chunks_of(first - before, chunk));
      const int64_t to = std::min(n, chunks_of(last - before, chunk));
      for (int64_t i = from; i < to; ++i) {
        part[i] = squares_of(px + s.begin + i * chunk, std::min(chunk, size_of(s) - i * chunk));
      }
      before += size_of(s);
      part += n;
    }
  });
  const double* part = parts;
  double* out = sums.data<double>();
  for (const Segment& s : segments) {
    double sum = 0;
    for (int64_t i = chunks_of(size_of(s), chunk); i > 0; --i) sum += *part++;
    *out++ = sum;
  }
}

void adam_direction(const Tensor& control, std::span<const Segment> segments, const ops::AdamWArgs& args,
                    const Tensor& parameter, Tensor& gradient, Tensor& exp_avg, Tensor& exp_avg_sq) {
  static constexpr auto op = ops::AdamDirection::name;
  const double* scalar = control.data<double>();
  const double correction1 = 1 - std::pow(args.beta1, scalar[Control::step]);
  const double correction2 = 1 - std::pow(args.beta2, scalar[Control::step]);
  const float* p = floats(op, parameter);
  float *g = floats(op, gradient), *m = floats(op, exp_avg), *v = floats(op, exp_avg_sq);
  over_segments(segments, parameter.numel(), [&](const Segment& s, int64_t begin, int64_t end) {
    const DirectionScalars scalars{static_cast<float>(scalar[Control::multiplier]),
                                   static_cast<float>(s.weight_decay),
                                   static_cast<float>(args.beta1),
                                   static_cast<float>(1 - args.beta1),
                                   static_cast<float>(args.beta2),
                                   static_cast<float>(1 - args.beta2),
                                   static_cast<float>(1 / correction1),
                                   static_cast<float>(1 / std::sqrt(correction2)),
                                   static_cast<float>(args.eps)};
    HWY_DYNAMIC_DISPATCH(adam_direction)(scalars, p, g, m, v, begin, end);
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
  static constexpr auto op = ops::ScaledStep::name;
  const double lr = control.data<double>()[Control::lr];
  const double* factor = scale.data<double>();
  const float* d = floats(op, direction);
  float* p = floats(op, parameter);
  over_segments(segments, parameter.numel(), [&](const Segment& s, int64_t begin, int64_t end) {
    const double length = lr * s.lr_factor * factor[&s - segments.data()];
    HWY_DYNAMIC_DISPATCH(step)(static_cast<float>(length), d, p, begin, end);
  });
}

constexpr auto cpu = Device::Kind::cpu;
[[maybe_unused]] const bool added[] = {
    Kernels<ops::SegmentSquares>::add(cpu, segment_squares),
    Kernels<ops::AdamDirection>::add(cpu, adam_direction),
    Kernels<ops::TrustRatio>::add(cpu, trust_ratio),
    Kernels<ops::ScaledStep>::add(cpu, scaled_step),
};

}  // namespace
}  // namespace trainer::cpu
#endif
