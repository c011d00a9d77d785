// The exponential for vector loops. Like simd.h, which comes before it, this is compiled once per instruction set.
#if defined(TRAINER_CPU_EXP_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TRAINER_CPU_EXP_H
#undef TRAINER_CPU_EXP_H
#else
#define TRAINER_CPU_EXP_H
#endif

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {

/// 1.5 * 2^23: what is added to it is rounded to whole numbers, which are its low bits then.
constexpr float kRound = 12582912.0F;

/// 2^(n + r) for |r| <= 1/2 and a whole n, the low bits of n_bits, with a relative error of 1e-7: 2^n goes into the exponent
/// of a polynomial in r. Half the instructions of Highway's exponential, which goes on to denormal results.
template <class D>
HWY_INLINE hn::Vec<D> power_of_2(D d, hn::Vec<D> n_bits, hn::Vec<D> r) {
  const hn::RebindToSigned<D> bits;
  auto p = hn::Set(d, 0.000153533618F);
  p = hn::MulAdd(p, r, hn::Set(d, 0.00133988744F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.00961843736F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.0555033247F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.240226479F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.693147203F));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F));
  return hn::BitCast(d, hn::Add(hn::BitCast(bits, p), hn::ShiftLeft<23>(hn::BitCast(bits, n_bits))));
}

// NaN as processors make it stays NaN in all of these.

/// 2^x for x <= 127, with a relative error of 1e-7; 0 below -126. Where x is a product, the factor log2(e) can go into it.
template <class D>
HWY_INLINE hn::Vec<D> exp2(D d, hn::Vec<D> x) {
  const auto round = hn::Set(d, kRound), n_bits = hn::Add(x, round);
  const auto power = power_of_2(d, n_bits, hn::Sub(x, hn::Sub(n_bits, round)));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -126.0F)), power);
}

/// e^x for x <= 88, with a relative error of 1e-7; 0 below -87.
template <class D>
HWY_INLINE hn::Vec<D> exp(D d, hn::Vec<D> x) {
  const auto log2_e = hn::Set(d, 1.44269504F), round = hn::Set(d, kRound);
  const auto n_bits = hn::MulAdd(x, log2_e, round), n = hn::Sub(n_bits, round);
  // x - n ln 2, with ln 2 in two parts: the product with the first is exact, also where processors do not fuse.
  const auto rest =
      hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4F), hn::NegMulAdd(n, hn::Set(d, 0.693359375F), x));
  const auto r = hn::Mul(rest, log2_e);
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.0F)), power_of_2(d, n_bits, r));
}

/// e^(-x / 2) for x >= 0, with a relative error of 1e-7 and what rounding x changes; 0 above 174.
template <class D>
HWY_INLINE hn::Vec<D> exp_minus_half(D d, hn::Vec<D> x) {
  const auto round = hn::Set(d, kRound), scale = hn::Set(d, -0.5F * 1.44269504F);
  const auto n_bits = hn::MulAdd(x, scale, round);
  const auto power = power_of_2(d, n_bits, hn::MulSub(x, scale, hn::Sub(n_bits, round)));
  return hn::IfThenZeroElse(hn::Gt(x, hn::Set(d, 174.0F)), power);
}

}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
