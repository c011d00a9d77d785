#include "lib/ops/layer_norm.h"

#include <algorithm>
#include <cmath>

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/column_sum.h"
#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/layer_norm.cpp"
#include "lib/backend/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {
namespace {

/// Two sums over [0, n) at once: term(d, i, a, b) adds to the vectors a and b.
struct TwoSums {
  float a = 0, b = 0;
};
template <class F>
HWY_INLINE TwoSums two_sums(int64_t n, const F& term) {
  TwoSums sums;
  int64_t i = 0;
  const auto go = [&](auto d) HWY_ATTR {
    const auto lanes = static_cast<int64_t>(hn::Lanes(d));
    if (i + lanes > n) return;
    auto a = hn::Zero(d), b = hn::Zero(d);
    for (; i + lanes <= n; i += lanes) term(d, i, a, b);
    sums.a += hn::GetLane(hn::SumOfLanes(d, a));
    sums.b += hn::GetLane(hn::SumOfLanes(d, b));
  };
  go(Full());
  if (hn::MaxLanes(Full()) > 4) go(Quarter());
  go(Single());
  return sums;
}

/// y = the row s, whose sum is `total`, normalised. The variance is a mean of squared differences, which cannot cancel.
template <class S, class Y>
HWY_INLINE void normalize_row(const S* s, float total, const float* gamma, const float* beta, float eps,
                              int64_t n, Y* y, float* mean, float* rstd) {
  const float scale = 1.0F / static_cast<float>(n), m = total * scale;
  const TwoSums deviation = two_sums(n, [&](auto d, int64_t i, auto& a, auto& b) HWY_ATTR {
    const auto v = hn::Sub(load(d, s + i), hn::Set(d, m));
    a = hn::MulAdd(v, v, a);
    b = hn::Add(b, v);
  });
  // The second sum is what rounding the mean left over.
  const float rest = deviation.b * scale;
  const float variance = std::max(deviation.a * scale - rest * rest, 0.0F);
  const float reciprocal = 1.0F / std::sqrt(variance + eps);
  *mean = m + rest;
  *rstd = reciprocal;
  for_vectors(0, n, [&](auto d, int64_t i) HWY_ATTR {
    const auto xhat = hn::Mul(hn::Sub(load(d, s + i), hn::Set(d, *mean)), hn::Set(d, reciprocal));
    store(hn::MulAdd(xhat, hn::LoadU(d, gamma + i), hn::LoadU(d, beta + i)), d, y + i);
  });
}

/// A row at a time, so that what a row needs again comes from the first level of cache. Without a residual there is
/// no sum.
template <class X, class S, class Y>
void forward_rows(const X* x, const S* residual, const float* gamma, const float* beta, float eps,
                  int64_t rows, int64_t n, S* sum, Y* y, float* mean, float* rstd) {
  for (int64_t r = 0; r < rows; ++r, x += n, y += n, ++mean, ++rstd) {
    if (residual == nullptr) {
      const float total =
          two_sums(n, [&](auto d, int64_t i, auto& a, auto&) HWY_ATTR { a = hn::Add(a, load(d, x + i)); }).a;
      normalize_row(x, total, gamma, beta, eps, n, y, mean, rstd);
      continue;
    }
    const float total = two_sums(n, [&](auto d, int64_t i, auto& a, auto&) HWY_ATTR {
                          const auto s = hn::Add(load(d, x + i), load(d, residual + i));
                          store(s, d, sum + i);
                          a = hn::Add(a, s);
                        }).a;
    normalize_row(sum, total, gamma, beta, eps, n, y, mean, rstd);
    residual += n;
    sum += n;
  }
}

void forward(const Elements& x, const Elements& residual, const float* gamma, const float* beta, float eps,
             int64_t rows, int64_t n, const Elements& sum, const Elements& y, float* mean, float* rstd) {
  with_element(x.dtype, [&]<class X>(X) HWY_ATTR {
    with_element(sum.dtype, [&]<class S>(S) HWY_ATTR {
      with_element(y.dtype, [&]<class Y>(Y) HWY_ATTR {
        forward_rows(x.as<const X>(), residual.as<const S>(), gamma, beta, eps, rows, n, sum.as<S>(),
                     y.as<Y>(), mean, rstd);
      });
    });
  });
}

/// dgamma and dbeta [n] get the sums over these rows, unless they are null. dsum and dx may be null, or the same.
template <bool kParameters, class G, class S>
void backward_rows(const G* dy, const S* s, const float* mean, const float* rstd, const float* gamma,
                   const S* dsum, int64_t rows, int64_t n, S* dx, float* dgamma, float* dbeta) {
  if constexpr (kParameters) {
    std::fill_n(dgamma, n, 0.0F);
    std::fill_n(dbeta, n, 0.0F);
  }
  for (int64_t r = 0; r < rows; ++r, dy += n, s += n) {
    const float m = mean[r], reciprocal = rstd[r];
    const auto xhat = [&](auto d, int64_t i) HWY_ATTR {
      return hn::Mul(hn::Sub(load(d, s + i), hn::Set(d, m)), hn::Set(d, reciprocal));
    };
    const TwoSums sums = two_sums(n, [&](auto d, int64_t i, auto& a, auto& b) HWY_ATTR {
      const auto g = load(d, dy + i), h = xhat(d, i), weighted = hn::Mul(g, hn::LoadU(d, gamma + i));
      a = hn::Add(a, weighted);
      b = hn::MulAdd(weighted, h, b);
      if constexpr (kParameters) {
        hn::StoreU(hn::MulAdd(g, h, hn::LoadU(d, dgamma + i)), d, dgamma + i);
        hn::StoreU(hn::Add(g, hn::LoadU(d, dbeta + i)), d, dbeta + i);
      }
    });
    if (dx == nullptr) continue;
    const float scale = 1.0F / static_cast<float>(n), first = sums.a * scale, second = sums.b * scale;
    for_vectors(0, n, [&](auto d, int64_t i) HWY_ATTR {
      const auto weighted = hn::Mul(load(d, dy + i), hn::LoadU(d, gamma + i));
      const auto rest = hn::NegMulAdd(xhat(d, i), hn::Set(d, second), hn::Sub(weighted, hn::Set(d, first)));
      const auto above = dsum == nullptr ? hn::Zero(d) : load(d, dsum + i);
      store(hn::MulAdd(rest, hn::Set(d, reciprocal), above), d, dx + i);
    });
    dx += n;
    if (dsum != nullptr) dsum += n;
  }
}

void backward(const Elements& dy, const Elements& sum, const float* mean, const float* rstd,
              const float* gamma, const Elements& dsum, int64_t rows, int64_t n, const Elements& dx,
              float* dgamma, float* dbeta) {
  with_element(dy.dtype, [&]<class G>(G) HWY_ATTR {
    with_element(sum.dtype, [&]<class S>(S) HWY_ATTR {
      const auto rows_of = dgamma != nullptr ? backward_rows<true, G, S> : backward_rows<false, G, S>;
      rows_of(dy.as<const G>(), sum.as<const S>(), mean, rstd, gamma, dsum.as<const S>(), rows, n, dx.as<S>(),
              dgamma, dbeta);
    });
  });
}

}  // namespace
}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu {
namespace {

HWY_EXPORT(forward);
HWY_EXPORT(backward);

void forward_kernel(const Tensor& x, const Tensor& residual, const Tensor& gamma, const Tensor& beta,
                    double eps, Tensor& sum, Tensor& y, Tensor& mean, Tensor& rstd) {
  static constexpr auto op = ops::LayerNorm::name;
  const Elements px(op, x), presidual(op, residual), psum(op, sum), py(op, y);
  const float *pgamma = floats(op, gamma), *pbeta = floats(op, beta);
  float *pmean = floats(op, mean), *prstd = floats(op, rstd);
  const int64_t n = x.shape().back();
  parallel_for(x.numel() / n, chunks_of(elementwise_grain, n), [&](int64_t begin, int64_t end) {
    const int64_t i = begin * n;
    HWY_DYNAMIC_DISPATCH(forward)
    (px.from(i), presidual.from(i), pgamma, pbeta, static_cast<float>(eps), end - begin, n, psum.from(i),
     py.from(i), pmean + begin, prstd + begin);
  });
}

void backward_kernel(const Tensor& dy, const Tensor& sum, const Tensor& mean, const Tensor& rstd,
                     const Tensor& gamma, const Tensor& dsum, Tensor& dx, Tensor& dgamma, Tensor& dbeta) {
  static constexpr auto op = ops::LayerNormBackward::name;
  const Elements g(op, dy), s(op, sum), above(op, dsum), out(op, dx);
  const float *pmean = floats(op, mean), *prstd = floats(op, rstd), *pgamma = floats(op, gamma);
  const int64_t n = sum.shape().back();
  const int64_t all = sum.numel() / n;
  const auto some = [&](int64_t row, int64_t rows, float* dgamma_sums, float* dbeta_sums) {
    const int64_t i = row * n;
    HWY_DYNAMIC_DISPATCH(backward)
    (g.from(i), s.from(i), pmean + row, prstd + row, pgamma, above.from(i), rows, n, out.from(i), dgamma_sums,
     dbeta_sums);
  };
  if (!dgamma.defined()) {
    return parallel_for(all, chunks_of(elementwise_grain, n),
                        [&](int64_t begin, int64_t end) { some(begin, end - begin, nullptr, nullptr); });
  }
  const FoldedRows m(all, n, 0);
  const ColumnSums sums(m, 2, [&](int64_t row, int64_t rows, const Rows<float>& block) {
    some(row, rows, block[0], block[1]);
  });
  float *pdgamma = floats(op, dgamma), *pdbeta = floats(op, dbeta);
  for (int64_t c = 0; c < n; ++c) {
    pdgamma[c] = static_cast<float>(sums.total(0, c));
    pdbeta[c] = static_cast<float>(sums.total(1, c));
  }
}

[[maybe_unused]] const bool added[] = {
    add_kernel<ops::LayerNorm, forward_kernel, f32_and_bf16>(),
    add_kernel<ops::LayerNormBackward, backward_kernel, f32_and_bf16>(),
};

}  // namespace
}  // namespace trainer::cpu
#endif
