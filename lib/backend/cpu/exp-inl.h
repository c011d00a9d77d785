// The exponential for vector loops. Like simd.h, which comes before it, this is compiled once per instruction set.
#if defined(TRAINER_CPU_EXP_H) == defined(HWY_TARGET_TOGGLE)
#ifdef TRAINER_CPU_EXP_H
#undef TRAINER_CPU_EXP_H
#else
#define TRAINER_CPU_EXP_H
#endif

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {

/// e^x for x <= 88, with a relative error of at most 1e-7; 0 below -87, where floats end. NaN as processors make it stays NaN. Half the
/// instructions of Highway's, which goes on to denormal results.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2: 2^n goes into the exponent of a polynomial in r.
template <class D>
HWY_INLINE hn::Vec<D> exp(D d, hn::Vec<D> x) {
  const hn::RebindToSigned<D> bits;
  const auto round = hn::Set(d, 12582912.0F);  // 1.5 * 2^23: what is added to it is rounded to whole numbers
  const auto n_bits = hn::MulAdd(x, hn::Set(d, 1.44269504F), round);
  const auto n = hn::Sub(n_bits, round);
  const auto r = hn::NegMulAdd(n, hn::Set(d, -2.12194440e-4F), hn::NegMulAdd(n, hn::Set(d, 0.693359375F), x));
  auto p = hn::Set(d, 0.0013843607F);
  p = hn::MulAdd(p, r, hn::Set(d, 0.008374196F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.041668005F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.1666643F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.49999994F));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F));
  const auto scaled = hn::Add(hn::BitCast(bits, p), hn::ShiftLeft<23>(hn::BitCast(bits, n_bits)));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -87.0F)), hn::BitCast(d, scaled));
}

/// 2^(n + r) for |r| <= 1/2 and a whole n, the low bits of n_bits, with a relative error of 2e-7.
template <class D>
HWY_INLINE hn::Vec<D> power_of_2(D d, hn::Vec<D> n_bits, hn::Vec<D> r) {
  const hn::RebindToSigned<D> bits;
  auto p = hn::Set(d, 0.00132647271F);
  p = hn::MulAdd(p, r, hn::Set(d, 0.00967151382F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.0555073375F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.240222421F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.693146978F));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F));
  return hn::BitCast(d, hn::Add(hn::BitCast(bits, p), hn::ShiftLeft<23>(hn::BitCast(bits, n_bits))));
}

/// 2^x for x <= 127, with a relative error of 2e-7; 0 below -126. NaN as processors make it stays NaN. Fewer instructions
/// than exp(): where x is a product, the factor log2(e) can go into it.
template <class D>
HWY_INLINE hn::Vec<D> exp2(D d, hn::Vec<D> x) {
  const auto round = hn::Set(d, 12582912.0F), n_bits = hn::Add(x, round);
  const auto power = power_of_2(d, n_bits, hn::Sub(x, hn::Sub(n_bits, round)));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -126.0F)), power);
}

/// e^(-x / 2) for x >= 0, with a relative error of 2e-7 and what rounding x changes; 0 above 174. NaN as processors make
/// it stays NaN.
template <class D>
HWY_INLINE hn::Vec<D> exp_minus_half(D d, hn::Vec<D> x) {
  const auto round = hn::Set(d, 12582912.0F), scale = hn::Set(d, -0.5F * 1.44269504F);
  const auto n_bits = hn::MulAdd(x, scale, round);
  const auto power = power_of_2(d, n_bits, hn::MulSub(x, scale, hn::Sub(n_bits, round)));
  return hn::IfThenZeroElse(hn::Gt(x, hn::Set(d, 174.0F)), power);
}

}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
