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
HWY_EXPORT(squares);

using ops::Control;
using ops::Segment;

void sgd_step(const Tensor& control, std::span<const Segment> segments, const ops::SgdArgs& args,
              const Tensor& gradient, Tensor& parameter, Tensor& momentum, Tensor& copy) {
  static constexpr auto op = ops::SgdStep::name;
  const double* scalar = control.data<double>();
  const float* g = floats(op, gradient);
  float *p = floats(op, parameter), *m = args.momentum != 0 ? floats(op, momentum) : nullptr;
  update_segments(segments, parameter, copy, [&](const Segment& s, int64_t begin, int64_t end) {
    const SgdScalars scalars{static_cast<float>(scalar[Control::multiplier]),
                             static_cast<float>(s.weight_decay), static_cast<float>(args.momentum),
                             static_cast<float>(scalar[Control::lr] * s.lr_factor), args.nesterov};
    HWY_DYNAMIC_DISPATCH(sgd)(scalars, g, p, m, begin, end);
  });
}

int64_t size_of(const Segment& s) { return s.end - s.begin; }

/// Threads share out the elements of all segments, so that one large tensor or thousands of short rows go as
/// fast; a chunk belongs to the thread whose share it begins in.
void segment_squares(std::span<const Segment> segments, const Tensor& x, Tensor& sums) {
  static constexpr int64_t chunk = 16384;
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
        part[i] =
            HWY_DYNAMIC_DISPATCH(squares)(px + s.begin + i * chunk, std::min(chunk, size_of(s) - i * chunk));
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

void clip_multiplier(const Tensor& squares, double max_norm, Tensor& control) {
  double& multiplier = control.data<double>()[Control::multiplier];
  const double norm = multiplier * std::sqrt(*squares.data<double>());
  multiplier *= std::isfinite(norm) ? std::min(1.0, max_norm / (norm + 1e-6))
                                    : std::numeric_limits<double>::quiet_NaN();
}

constexpr auto cpu = Device::Kind::cpu;
[[maybe_unused]] const bool added[] = {
    Kernels<ops::SgdStep>::add(cpu, sgd_step),
    Kernels<ops::SegmentSquares>::add(cpu, segment_squares),
    Kernels<ops::ClipMultiplier>::add(cpu, clip_multiplier),
};

}  // namespace

}  // namespace trainer::cpu
#endif
