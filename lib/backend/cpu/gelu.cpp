#include "lib/backend/cpu/gelu.h"

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/column_sum.h"
#include "lib/backend/cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/gelu.cpp"
#include "lib/backend/cpu/simd.h"
// after simd.h, which decides on the instruction set
#include "lib/backend/cpu/exp-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {
namespace {

using ops::GeluForm;

/// f(x) and f'(x). What a loop does not use the compiler leaves out.
template <class V>
struct Both {
  V value, slope;
};

/// Phi(x) by erfc(z) exp(z^2) as a polynomial in t = 1 / (1 + p z), z = |x| / sqrt 2, in the form of
/// Abramowitz and Stegun 7.1.26; coefficients fitted for [0, 10], largest relative error 1e-7. exp(-z^2)
/// serves the density as well.
template <class D, class V = hn::Vec<D>>
HWY_INLINE Both<V> exact(D d, V x) {
  const auto one = hn::Set(d, 1.0F);
  const auto t = hn::Div(one, hn::MulAdd(hn::Abs(x), hn::Set(d, 0.33F * 0.70710678F), one));
  auto p = hn::Set(d, -0.135344528F / 2);
  p = hn::MulAdd(p, t, hn::Set(d, 0.460232471F / 2));
  p = hn::MulAdd(p, t, hn::Set(d, -0.351142009F / 2));
  p = hn::MulAdd(p, t, hn::Set(d, 0.408493164F / 2));
  p = hn::MulAdd(p, t, hn::Set(d, 0.0472241373F / 2));
  p = hn::MulAdd(p, t, hn::Set(d, 0.201222863F / 2));
  p = hn::MulAdd(p, t, hn::Set(d, 0.182956102F / 2));
  p = hn::MulAdd(p, t, hn::Set(d, 0.186357793F / 2));
  const auto exponential = exp_minus_half(d, hn::Mul(x, x));
  const auto tail = hn::Mul(hn::Mul(t, exponential), p);  // Phi(-|x|)
  const auto phi = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), tail, hn::Sub(one, tail));
  const auto density = hn::Mul(exponential, hn::Set(d, 0.398942280F));
  return {hn::Mul(x, phi), hn::MulAdd(x, density, phi)};
}

/// With 0.5 (1 + tanh u) = s(2u), s the logistic function, whose derivative is s (1 - s).
template <class D, class V = hn::Vec<D>>
HWY_INLINE Both<V> by_tanh(D d, V x) {
  constexpr float linear = 2 * 0.797884561F, cubic = linear * 0.044715F;
  const auto one = hn::Set(d, 1.0F);
  const auto square = hn::Mul(x, x);
  const auto u = hn::Mul(x, hn::MulAdd(square, hn::Set(d, cubic), hn::Set(d, linear)));
  // exp must stay finite; s has long become 0 there, and x is not infinite in a network that trains.
  const auto e = exp(d, hn::Min(hn::Neg(u), hn::Set(d, 87.0F)));
  const auto s = hn::Div(one, hn::Add(one, e));
  const auto inner = hn::Mul(x, hn::MulAdd(square, hn::Set(d, 3 * cubic), hn::Set(d, linear)));
  return {hn::Mul(x, s), hn::MulAdd(hn::Mul(s, hn::Sub(one, s)), inner, s)};
}

template <class F>
HWY_INLINE void with_form(GeluForm form, const F& f) {
  if (form == GeluForm::exact) {
    f([](auto d, auto x) HWY_ATTR { return exact(d, x); });
  } else {
    f([](auto d, auto x) HWY_ATTR { return by_tanh(d, x); });
  }
}

void forward(const Elements& x, GeluForm form, const Elements& y, const Elements& slope, int64_t begin,
             int64_t end) {
  with_form(form, [&](auto f) HWY_ATTR {
    with_element(x.dtype, [&]<class T>(T) HWY_ATTR {
      if (!slope) {
        const auto value = [&](auto d, auto v) HWY_ATTR { return std::array{f(d, v).value}; };
        return map(begin, end, value, std::array{y.as<T>()}, x.as<const T>());
      }
      const auto both = [&](auto d, auto v) HWY_ATTR {
        const auto r = f(d, v);
        return std::array{r.value, r.slope};
      };
      map(begin, end, both, std::array{y.as<T>(), slope.as<T>()}, x.as<const T>());
    });
  });
}

void multiply(const Elements& a, const Elements& b, const Elements& c, int64_t begin, int64_t end) {
  with_element(a.dtype, [&]<class T>(T) HWY_ATTR {
    const auto product = [](auto, auto u, auto v) HWY_ATTR { return std::array{hn::Mul(u, v)}; };
    map(begin, end, product, std::array{c.as<T>()}, a.as<const T>(), b.as<const T>());
  });
}

}  // namespace
}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu {
namespace {

HWY_EXPORT(forward);
HWY_EXPORT(multiply);

void gelu(const Tensor& x, ops::GeluForm form, Tensor& y, Tensor& slope) {
  static constexpr auto op = ops::Gelu::name;
  gelu_elements(Elements(op, x), form, Elements(op, y), Elements(op, slope), x.numel());
}

void gelu_backward(const Tensor& dy, const Tensor& slope, Tensor& dx, Tensor& dbias) {
  static constexpr auto op = ops::GeluBackward::name;
  const Elements g(op, dy), factor(op, slope), to(op, dx);
  const auto product = [=](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(multiply)(g, factor, to, begin, end);
  };
  if (!dbias.defined()) return parallel_for(dx.numel(), elementwise_grain, product);
  Converted<Tensor&> sums(dbias, f32_alone);
  column_sum_of(dx.shape().rows(), dbias.numel(), floats(op, sums.value), [&](int64_t begin, int64_t end) {
    product(begin, end);
    return to.from(begin);
  });
}

[[maybe_unused]] const bool added[] = {
    add_kernel<ops::Gelu, gelu, f32_and_bf16>(),
    add_kernel<ops::GeluBackward, gelu_backward, f32_and_bf16>(),
};

}  // namespace

void gelu_elements(const Elements& x, ops::GeluForm form, const Elements& y, const Elements& slope,
                   int64_t n) {
  static constexpr int64_t grain = elementwise_grain / 4;  // an exponential and a division an element
  parallel_for(n, grain, [=](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(forward)(x, form, y, slope, begin, end);
  });
}

}  // namespace trainer::cpu
#endif
