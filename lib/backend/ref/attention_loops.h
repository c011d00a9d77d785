// Attention of any layout, in plain loops: what the kernels of attention.cpp and window_attention.cpp share.
//
// A Layout says how many sequences and heads there are, of which length and width; which row of a matrix a token is,
// row(n, token, tokens), where sequences have `tokens` rows each; and what is added to a score beside the head's bias,
// mask(n, i, j).
#pragma once

#include <algorithm>
#include <cmath>

#include "lib/backend/ref/ref.h"

namespace trainer::ref {

/// What the formula is about: qkv [rows, 3, heads, width], bias [heads, length, length] or undefined. The first
/// `queries` tokens of a sequence have a row in y.
template <class T, class Layout>
struct AttentionLoops {
  const Layout& at;
  const Tensor &qkv, &bias;
  double scale;
  int64_t queries = at.length;

  /// The first channel of a token's q (0), k (1) or v (2); of its y; its log-sum-exp.
  int64_t packed(int64_t n, int64_t token, int which, int64_t h) const {
    return ((at.row(n, token, at.length) * 3 + which) * at.heads + h) * at.width;
  }
  int64_t plain(int64_t n, int64_t token, int64_t h) const {
    return (at.row(n, token, queries) * at.heads + h) * at.width;
  }
  int64_t lse_at(int64_t n, int64_t token, int64_t h) const { return (n * at.heads + h) * queries + token; }

  static double dot(const T* a, const T* b, int64_t count) {
    double sum = 0;
    for (int64_t i = 0; i < count; ++i) sum += double{a[i]} * double{b[i]};
    return sum;
  }

  /// scale q k^T + bias + mask of one query: a row [length].
  std::vector<double> scores(int64_t n, int64_t h, int64_t i) const {
    std::vector<double> row(static_cast<size_t>(at.length));
    const T* p = qkv.data<T>();
    for (int64_t j = 0; j < at.length; ++j) {
      double s = scale * dot(p + packed(n, i, 0, h), p + packed(n, j, 1, h), at.width);
      if (bias.defined()) s += bias.data<T>()[(h * at.length + i) * at.length + j];
      row[static_cast<size_t>(j)] = s + at.mask(n, i, j);
    }
    return row;
  }

  /// Calls f(n, h, i) for every query.
  template <class F>
  void each_query(const F& f) const {
    for (int64_t n = 0; n < at.samples; ++n)
      for (int64_t h = 0; h < at.heads; ++h)
        for (int64_t i = 0; i < queries; ++i) f(n, h, i);
  }

  void forward(Tensor& y, Tensor& lse) const {
    each_query([&](int64_t n, int64_t h, int64_t i) {
      const auto row = scores(n, h, i);
      const double largest = *std::max_element(row.begin(), row.end());
      double sum = 0;
      for (const double s : row) sum += std::exp(s - largest);
      const double log_sum = largest + std::log(sum);
      lse.data<T>()[lse_at(n, i, h)] = static_cast<T>(log_sum);
      for (int64_t d = 0; d < at.width; ++d) {
        double v = 0;
        for (int64_t j = 0; j < at.length; ++j)
          v += std::exp(row[static_cast<size_t>(j)] - log_sum) * qkv.data<T>()[packed(n, j, 2, h) + d];
        y.data<T>()[plain(n, i, h) + d] = static_cast<T>(v);
      }
    });
  }

  /// With P the probabilities: dv = P^T dy, dP = dy v^T, dS = P (dP - rowsum(dy y)), dbias = dS summed over
  /// samples, dq = scale dS k, dk = scale dS^T q.
  void backward(const Tensor& dy, const Tensor& y, const Tensor& lse, Tensor& dqkv, Tensor& dbias) const {
    const T* p = qkv.data<T>();
    Sums gradient = sums_for(dqkv), bias_gradient = dbias.defined() ? sums_for(dbias) : Sums();
    const auto add = [&](int64_t to, double factor, const T* values) {
      for (int64_t d = 0; d < at.width; ++d) gradient[static_cast<size_t>(to + d)] += factor * values[d];
    };
    each_query([&](int64_t n, int64_t h, int64_t i) {
      const auto row = scores(n, h, i);
      const double log_sum = lse.data<T>()[lse_at(n, i, h)];
      const T* g = dy.data<T>() + plain(n, i, h);
      const double delta = dot(g, y.data<T>() + plain(n, i, h), at.width);
      const int64_t q = packed(n, i, 0, h);
      for (int64_t j = 0; j < at.length; ++j) {
        const int64_t k = packed(n, j, 1, h), v = packed(n, j, 2, h);
        const double probability = std::exp(row[static_cast<size_t>(j)] - log_sum);
        const double ds = probability * (dot(g, p + v, at.width) - delta);
        if (dbias.defined()) bias_gradient[static_cast<size_t>((h * at.length + i) * at.length + j)] += ds;
        add(v, probability, g);
        add(q, scale * ds, p + k);
        add(k, scale * ds, p + q);
      }
    });
    store<T>(gradient, dqkv);
    if (dbias.defined()) store<T>(bias_gradient, dbias);
  }
};

}  // namespace trainer::ref
