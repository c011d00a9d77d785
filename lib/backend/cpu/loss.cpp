#include "lib/ops/loss.h"

#include <cmath>
#include <limits>

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/loss.cpp"
#include "lib/backend/cpu/simd.h"
// after simd.h, which decides on the instruction set
#include "lib/backend/cpu/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {
namespace {

/// log sum exp(row[k]); the largest element is taken out, so that nothing overflows.
float log_sum_exp(const float* row, int64_t classes) {
  float largest = -std::numeric_limits<float>::infinity();
  bool nan = false;
  for_vectors(0, classes, [&](auto d, int64_t k) HWY_ATTR {
    const auto v = hn::LoadU(d, row + k);
    nan |= !hn::AllFalse(d, hn::IsNaN(v));
    largest = std::max(largest, hn::GetLane(hn::MaxOfLanes(d, v)));
  });
  if (nan) return std::numeric_limits<float>::quiet_NaN();
  if (!std::isfinite(largest)) return largest;
  double sum = 0;
  for_vectors(0, classes, [&](auto d, int64_t k) HWY_ATTR {
    sum += hn::GetLane(hn::SumOfLanes(d, exp(d, hn::Sub(hn::LoadU(d, row + k), hn::Set(d, largest)))));
  });
  return static_cast<float>(largest + std::log(sum));
}

/// out = scale exp(row - lse) + shift.
void softmax(const float* row, float lse, float scale, float shift, int64_t classes, float* out) {
  for_vectors(0, classes, [&](auto d, int64_t k) HWY_ATTR {
    const auto e = exp(d, hn::Sub(hn::LoadU(d, row + k), hn::Set(d, lse)));
    hn::StoreU(hn::MulAdd(e, hn::Set(d, scale), hn::Set(d, shift)), d, out + k);
  });
}

/// Of a block short enough for sums in f32.
float squared_distance(const float* a, const float* b, int64_t n) {
  float total = 0;
  auto sums = hn::Zero(Full());
  const auto lanes = static_cast<int64_t>(hn::Lanes(Full()));
  int64_t i = 0;
  for (; i + lanes <= n; i += lanes) {
    const auto v = hn::Sub(hn::LoadU(Full(), a + i), hn::LoadU(Full(), b + i));
    sums = hn::MulAdd(v, v, sums);
  }
  total = hn::GetLane(hn::SumOfLanes(Full(), sums));
  for (; i < n; ++i) total += (a[i] - b[i]) * (a[i] - b[i]);
  return total;
}

void scaled_difference(const float* a, const float* b, float factor, float* out, int64_t begin, int64_t end) {
  for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
    hn::StoreU(hn::Mul(hn::Sub(hn::LoadU(d, a + i), hn::LoadU(d, b + i)), hn::Set(d, factor)), d, out + i);
  });
}

}  // namespace
}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu {
namespace {

HWY_EXPORT(log_sum_exp);
HWY_EXPORT(softmax);
HWY_EXPORT(squared_distance);
HWY_EXPORT(scaled_difference);

/// Targets of either kind: classes or probabilities, one of the pointers is set.
struct Targets {
  const int64_t* classes = nullptr;
  const float* probabilities = nullptr;
  int64_t count;   ///< of classes
  double on, off;  ///< (1 - s), s / K

  Targets(std::string_view op, const Tensor& t, int64_t count_, const ops::CrossEntropyArgs& args)
      : count(count_), on(1 - args.label_smoothing), off(args.label_smoothing / static_cast<double>(count_)) {
    if (t.dtype() == DType::i64) {
      classes = t.data<int64_t>();
    } else {
      probabilities = floats(op, t);
    }
  }
  double at(int64_t row, int64_t k) const {
    const double t =
        classes != nullptr ? static_cast<double>(classes[row] == k) : double{probabilities[row * count + k]};
    return on * t + off;
  }
  /// sum_k t_k (lse - z_k); a class that is masked by -inf costs nothing unless it is wanted.
  double loss(int64_t row, const float* logits, double lse) const {
    if (classes != nullptr && off == 0) return on * (lse - logits[classes[row]]);
    double sum = 0;
    for (int64_t k = 0; k < count; ++k) {
      const double t = at(row, k);
      if (t != 0) sum += t * (lse - logits[k]);
    }
    return sum;
  }
};

int64_t row_grain(int64_t columns) { return chunks_of(elementwise_grain / 8, std::max<int64_t>(columns, 1)); }

void cross_entropy(const Tensor& logits, const Tensor& target, const ops::CrossEntropyArgs& args,
                   Tensor& loss, Tensor& log_sum_exp) {
  static constexpr auto op = ops::SoftmaxCrossEntropy::name;
  const int64_t rows = logits.size(0), classes = logits.size(1);
  const float* z = floats(op, logits);
  float* lse = floats(op, log_sum_exp);
  const Targets targets(op, target, classes, args);
  const Storage memory(static_cast<size_t>(rows) * sizeof(double), Device{});
  auto* losses = reinterpret_cast<double*>(memory.data());
  parallel_for(rows, row_grain(classes), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const float* row = z + n * classes;
      lse[n] = HWY_DYNAMIC_DISPATCH(log_sum_exp)(row, classes);
      losses[n] = targets.loss(n, row, lse[n]);
    }
  });
  double sum = 0;
  for (int64_t n = 0; n < rows; ++n) sum += losses[n];
  *floats(op, loss) = static_cast<float>(sum / static_cast<double>(rows));
}

void cross_entropy_backward(const Tensor& seed, const Tensor& logits, const Tensor& target,
                            const Tensor& log_sum_exp, const ops::CrossEntropyArgs& args, Tensor& dlogits) {
  static constexpr auto op = ops::SoftmaxCrossEntropyBackward::name;
  const int64_t rows = logits.size(0), classes = logits.size(1);
  const float *z = floats(op, logits), *lse = floats(op, log_sum_exp);
  float* dz = floats(op, dlogits);
  const Targets targets(op, target, classes, args);
  const double factor = *floats(op, seed) / static_cast<double>(rows);
  parallel_for(rows, row_grain(classes), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      float* out = dz + n * classes;
      double mass = 1;
      if (targets.probabilities != nullptr) {
        mass = 0;
        for (int64_t k = 0; k < classes; ++k) mass += targets.at(n, k);
      }
      const double off = targets.classes != nullptr ? targets.off : 0;
      HWY_DYNAMIC_DISPATCH(softmax)
      (z + n * classes, lse[n], static_cast<float>(factor * mass), static_cast<float>(-factor * off), classes,
       out);
      if (targets.classes != nullptr) {
        out[targets.classes[n]] -= static_cast<float>(factor * targets.on);
      } else {
        for (int64_t k = 0; k < classes; ++k) out[k] -= static_cast<float>(factor * targets.at(n, k));
      }
    }
  });
}

void mse(const Tensor& prediction, const Tensor& target, Tensor& loss) {
  static constexpr auto op = ops::Mse::name;
  static constexpr int64_t chunk = 4096;
  const float *a = floats(op, prediction), *b = floats(op, target);
  const int64_t n = prediction.numel();
  const Storage memory(static_cast<size_t>(chunks_of(n, chunk)) * sizeof(double), Device{});
  auto* sums = reinterpret_cast<double*>(memory.data());
  parallel_chunks(n, chunk, elementwise_grain, [&](int64_t i, int64_t begin, int64_t end) {
    sums[i] = HWY_DYNAMIC_DISPATCH(squared_distance)(a + begin, b + begin, end - begin);
  });
  double sum = 0;
  for (int64_t i = 0; i < chunks_of(n, chunk); ++i) sum += sums[i];
  *floats(op, loss) = static_cast<float>(sum / static_cast<double>(n));
}

void mse_backward(const Tensor& seed, const Tensor& prediction, const Tensor& target, Tensor& dprediction) {
  static constexpr auto op = ops::MseBackward::name;
  const float *a = floats(op, prediction), *b = floats(op, target);
  float* out = floats(op, dprediction);
  const auto factor = static_cast<float>(2.0 * *floats(op, seed) / static_cast<double>(prediction.numel()));
  parallel_for(prediction.numel(), elementwise_grain, [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(scaled_difference)(a, b, factor, out, begin, end);
  });
}

[[maybe_unused]] const bool added[] = {
    add_kernel<ops::SoftmaxCrossEntropy, cross_entropy, f32_alone>(),
    add_kernel<ops::SoftmaxCrossEntropyBackward, cross_entropy_backward, f32_alone>(),
    add_kernel<ops::Mse, mse, f32_alone>(),
    add_kernel<ops::MseBackward, mse_backward, f32_alone>(),
};

}  // namespace
}  // namespace trainer::cpu
#endif
