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

/// 2^x for x <= 127, with a relative error of at most 1e-7; 0 below -126. NaN as processors make it stays NaN.
/// Fewer instructions than exp(): where x is a product, the factor log2(e) can go into it.
template <class D>
HWY_INLINE hn::Vec<D> exp2(D d, hn::Vec<D> x) {
  const hn::RebindToSigned<D> bits;
  const auto round = hn::Set(d, 12582912.0F);  // 1.5 * 2^23: what is added to it is rounded to whole numbers
  const auto n_bits = hn::Add(x, round);
  const auto r = hn::Sub(x, hn::Sub(n_bits, round));
  auto p = hn::Set(d, 0.000153533618F);
  p = hn::MulAdd(p, r, hn::Set(d, 0.00133988744F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.00961843736F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.0555033247F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.240226479F));
  p = hn::MulAdd(p, r, hn::Set(d, 0.693147203F));
  p = hn::MulAdd(p, r, hn::Set(d, 1.0F));
  const auto scaled = hn::Add(hn::BitCast(bits, p), hn::ShiftLeft<23>(hn::BitCast(bits, n_bits)));
  return hn::IfThenZeroElse(hn::Lt(x, hn::Set(d, -126.0F)), hn::BitCast(d, scaled));
}

}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#endif
