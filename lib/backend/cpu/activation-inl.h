// The formulas of lib/ops/activation.h for vector loops. Like simd.h, which comes before it, this is compiled
// once per instruction set.
#if defined(TRAINER_CPU_ACTIVATION_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TRAINER_CPU_ACTIVATION_H
#undef TRAINER_CPU_ACTIVATION_H
#else
#define TRAINER_CPU_ACTIVATION_H
#endif

#include "lib/ops/activation.h"

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {

template <ops::Activation kActivation, class D>
HWY_INLINE hn::Vec<D> activate(D d, hn::Vec<D> v) {
  if constexpr (kActivation == ops::Activation::relu) {
    return hn::IfThenZeroElse(hn::Le(v, hn::Zero(d)), v);  // NaN stays
  } else if constexpr (kActivation == ops::Activation::relu6) {
    const auto six = hn::Set(d, 6.0F);
    return hn::IfThenElse(hn::Gt(v, six), six, hn::IfThenZeroElse(hn::Le(v, hn::Zero(d)), v));
  } else {
    static_assert(kActivation == ops::Activation::none);
    return v;
  }
}

/// dy[i] times the slope where the value is y[i]; y is not read where there is no activation.
template <ops::Activation kActivation, class D, class T>
HWY_INLINE hn::Vec<D> activation_gradient(D d, const T* dy, const T* y, int64_t i) {
  const auto g = load(d, dy + i);
  if constexpr (kActivation == ops::Activation::relu) {
    return hn::IfThenElseZero(hn::Gt(load(d, y + i), hn::Zero(d)), g);
  } else if constexpr (kActivation == ops::Activation::relu6) {
    const auto v = load(d, y + i);
    return hn::IfThenElseZero(hn::And(hn::Gt(v, hn::Zero(d)), hn::Lt(v, hn::Set(d, 6.0F))), g);
  } else {
    static_assert(kActivation == ops::Activation::none);
    return g;
  }
}

}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
