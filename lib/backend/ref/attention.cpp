#include "lib/ops/attention.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "lib/backend/ref/ref.h"

namespace trainer::ref {
namespace {

/// Offsets of the first channel of a token's q, k, v or y.
struct Layout {
  explicit Layout(const Tensor& qkv) : length(qkv.size(1)), heads(qkv.size(3)), width(qkv.size(4)) {}
  int64_t length, heads, width;
  /// which: 0 q, 1 k, 2 v
  int64_t qkv(int64_t n, int64_t token, int which, int64_t h) const {
    return (((n * length + token) * 3 + which) * heads + h) * width;
  }
  int64_t y(int64_t n, int64_t token, int64_t h) const { return ((n * length + token) * heads + h) * width; }
};

template <class T>
double dot(const T* a, const T* b, int64_t count) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += double{a[i]} * double{b[i]};
  return sum;
}

/// scale q k^T + bias + mask of one query: a row [L].
template <class T>
std::vector<double> scores(const Tensor& qkv, const Tensor& bias, const Tensor& mask, double scale,
                           const Layout& at, int64_t n, int64_t h, int64_t i) {
  std::vector<double> row(static_cast<size_t>(at.length));
  const T* p = qkv.data<T>();
  for (int64_t j = 0; j < at.length; ++j) {
    double s = scale * dot(p + at.qkv(n, i, 0, h), p + at.qkv(n, j, 1, h), at.width);
    if (bias.defined()) s += bias.data<T>()[(h * at.length + i) * at.length + j];
    if (mask.defined()) s += mask.data<T>()[((n % mask.size(0)) * at.length + i) * at.length + j];
    row[static_cast<size_t>(j)] = s;
  }
  return row;
}

void forward(const Tensor& qkv, const Tensor& bias, const Tensor& mask, double scale, Tensor& y,
             Tensor& lse) {
  const Layout at(qkv);
  visit_real(ops::Attention::name, qkv, [&]<class T>(T) {
    for (int64_t n = 0; n < qkv.size(0); ++n) {
      for (int64_t h = 0; h < at.heads; ++h) {
        for (int64_t i = 0; i < at.length; ++i) {
          const auto row = scores<T>(qkv, bias, mask, scale, at, n, h, i);
          const double largest = *std::max_element(row.begin(), row.end());
          double sum = 0;
          for (const double s : row) sum += std::exp(s - largest);
          const double log_sum = largest + std::log(sum);
          lse.data<T>()[(n * at.heads + h) * at.length + i] = static_cast<T>(log_sum);
          for (int64_t d = 0; d < at.width; ++d) {
            double v = 0;
            for (int64_t j = 0; j < at.length; ++j)
              v += std::exp(row[static_cast<size_t>(j)] - log_sum) * qkv.data<T>()[at.qkv(n, j, 2, h) + d];
            y.data<T>()[at.y(n, i, h) + d] = static_cast<T>(v);
          }
        }
      }
    }
  });
}

/// With P the probabilities: dv = P^T dy, dP = dy v^T, dS = P (dP - rowsum(dy y)), dbias = dS summed over
/// samples, dq = scale dS k, dk = scale dS^T q.
void backward(const Tensor& dy, const Tensor& qkv, const Tensor& bias, const Tensor& mask, double scale,
              const Tensor& y, const Tensor& lse, Tensor& dqkv, Tensor& dbias) {
  const Layout at(qkv);
  visit_real(ops::AttentionBackward::name, qkv, [&]<class T>(T) {
    const T *p = qkv.data<T>(), *g = dy.data<T>();
    Sums gradient = sums_for(dqkv), bias_gradient = dbias.defined() ? sums_for(dbias) : Sums();
    for (int64_t n = 0; n < qkv.size(0); ++n) {
      for (int64_t h = 0; h < at.heads; ++h) {
        for (int64_t i = 0; i < at.length; ++i) {
          const auto row = scores<T>(qkv, bias, mask, scale, at, n, h, i);
          const double log_sum = lse.data<T>()[(n * at.heads + h) * at.length + i];
          const T* gi = g + at.y(n, i, h);
          const double delta = dot(gi, y.data<T>() + at.y(n, i, h), at.width);
          for (int64_t j = 0; j < at.length; ++j) {
            const double probability = std::exp(row[static_cast<size_t>(j)] - log_sum);
            const double ds = probability * (dot(gi, p + at.qkv(n, j, 2, h), at.width) - delta);
            if (dbias.defined())
              bias_gradient[static_cast<size_t>((h * at.length + i) * at.length + j)] += ds;
            for (int64_t d = 0; d < at.width; ++d) {
              gradient[static_cast<size_t>(at.qkv(n, j, 2, h) + d)] += probability * gi[d];
              gradient[static_cast<size_t>(at.qkv(n, i, 0, h) + d)] += scale * ds * p[at.qkv(n, j, 1, h) + d];
              gradient[static_cast<size_t>(at.qkv(n, j, 1, h) + d)] += scale * ds * p[at.qkv(n, i, 0, h) + d];
            }
          }
        }
      }
    }
    store<T>(gradient, dqkv);
    if (dbias.defined()) store<T>(bias_gradient, dbias);
  });
}

[[maybe_unused]] const bool added[] = {
    Kernels<ops::Attention>::add(Device::Kind::ref, forward),
    Kernels<ops::AttentionBackward>::add(Device::Kind::ref, backward),
};

}  // namespace
}  // namespace trainer::ref
