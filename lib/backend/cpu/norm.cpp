#include "lib/ops/norm.h"

#include <algorithm>
#include <cmath>

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/column_sum.h"
#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/norm_loops.h"

namespace trainer::cpu {
namespace {

using ops::BatchNormArgs;

/// The samples of rows [begin, end) by column, in one pass. Each block is taken around the mean of the blocks
/// before it, the first around that of its first rows: what is squared is not much larger than the deviations.
/// `scratch` has three rows.
void sample_chunk(const Elements& x, const FoldedRows& m, int64_t begin, int64_t end,
                  const Rows<float>& scratch, const Samples& all) {
  float *center = scratch[0], *sums = scratch[1], *squares = scratch[2];
  const int64_t few = std::min<int64_t>(8, end - begin);
  sum_rows(x.from(begin * m.columns), few, m.columns, center);
  for (int64_t c = 0; c < m.columns; ++c) center[c] /= static_cast<float>(few);
  for (int64_t r = begin; r < end; r += m.block()) {
    const int64_t n = std::min(m.block(), end - r);
    deviations(x.from(r * m.columns), center, n, m.columns, sums, squares);
    join_deviations(sums, squares, static_cast<double>(n), static_cast<double>(r - begin), m.columns, center,
                    all);
  }
}

void statistics(const Tensor& x, Tensor& mean, Tensor& var) {
  static constexpr auto op = ops::BatchNormStatistics::name;
  const Elements px(op, x);
  float *pmean = floats(op, mean), *pvar = floats(op, var);
  const FoldedRows m(x.shape().rows(), x.shape().back());
  const int64_t chunks = chunks_of(m.rows, m.chunk());
  const Rows<double> memory(2 * (chunks + 1), m.columns);  // the last two are the whole
  std::fill_n(memory[0], 2 * (chunks + 1) * m.columns, 0.0);
  const auto samples = [&](int64_t i) { return Samples{memory[2 * i], memory[2 * i + 1]}; };
  Rows<float>::reserve_for_threads(3, m.columns);
  parallel_chunks(
      m.rows, m.chunk(), m.grain(), [&] { return Rows<float>(3, m.columns); },
      [&](int64_t i, int64_t begin, int64_t end, const Rows<float>& scratch) {
        sample_chunk(px, m, begin, end, scratch, samples(i));
      });
  const Samples whole = samples(chunks);
  for (int64_t i = 0; i < chunks; ++i) {
    const int64_t before = i * m.chunk(), n = std::min(m.chunk(), m.rows - before);
    join_samples(samples(i), static_cast<double>(n), static_cast<double>(before), m.columns, whole);
  }
  for (int64_t j = 1; j < m.fold; ++j) {  // what lay side by side
    const Samples side{whole.mean + j * m.channels, whole.squares + j * m.channels};
    join_samples(side, static_cast<double>(m.rows), static_cast<double>(j * m.rows), m.channels, whole);
  }
  const double count = static_cast<double>(m.rows * m.fold);
  for (int64_t c = 0; c < m.channels; ++c) {
    pmean[c] = static_cast<float>(whole.mean[c]);
    pvar[c] = count == 0 ? 0 : static_cast<float>(whole.squares[c] / count);
  }
}

bool activated(const BatchNormArgs& args) { return args.activation != ops::Activation::none; }

double reciprocal_deviation(float var, const BatchNormArgs& args) {
  return 1 / std::sqrt(double{var} + args.eps);
}

/// Writes a channel's parameter to all its columns.
void spread(const FoldedRows& m, int64_t channel, double value, float* parameter) {
  for (int64_t j = channel; j < m.columns; j += m.channels) parameter[j] = static_cast<float>(value);
}

void apply(const Tensor& x, const Tensor& mean, const Tensor& var, const Tensor& gamma, const Tensor& beta,
           const Tensor& residual, const BatchNormArgs& args, Tensor& y) {
  static constexpr auto op = ops::BatchNormApply::name;
  const Elements px(op, x), presidual(op, residual), py(op, y);
  const float *pmean = floats(op, mean), *pvar = floats(op, var), *pgamma = floats(op, gamma),
              *pbeta = floats(op, beta);
  const FoldedRows m(x.shape().rows(), x.shape().back());
  const Rows<float> parameters(3, m.columns);
  for (int64_t c = 0; c < m.channels; ++c) {
    spread(m, c, pmean[c], parameters[0]);
    spread(m, c, pgamma[c] * reciprocal_deviation(pvar[c], args), parameters[1]);
    spread(m, c, pbeta[c], parameters[2]);
  }
  const NormalizeParameters p{parameters[0], parameters[1], parameters[2]};
  const bool past = may_go_past_caches(py, m.rows, m.columns);
  parallel_for(m.rows, m.grain(), [&](int64_t begin, int64_t end) {
    const int64_t first = begin * m.columns;
    normalize(px.from(first), presidual.from(first), args.activation, p, end - begin, m.columns, past,
              py.from(first));
  });
}

void backward_reduce(const Tensor& dy, const Tensor& x, const Tensor& y, const Tensor& mean,
                     const Tensor& var, const BatchNormArgs& args, Tensor& dgamma, Tensor& dbeta) {
  static constexpr auto op = ops::BatchNormBackwardReduce::name;
  const Elements g(op, dy), px(op, x), py(op, activated(args) ? y : Tensor());
  const float *pmean = floats(op, mean), *pvar = floats(op, var);
  float *pdgamma = floats(op, dgamma), *pdbeta = floats(op, dbeta);
  const FoldedRows m(x.shape().rows(), x.shape().back());
  const Rows<float> means(1, m.columns);
  for (int64_t c = 0; c < m.channels; ++c) spread(m, c, pmean[c], means[0]);
  const ColumnSums sums(m, 2, [&](int64_t row, int64_t rows, const Rows<float>& out) {
    const int64_t i = row * m.columns;
    gradient_sums(g.from(i), px.from(i), py.from(i), args.activation, means[0], rows, m.columns, out[0],
                  out[1]);
  });
  for (int64_t c = 0; c < m.channels; ++c) {
    pdbeta[c] = static_cast<float>(sums.total(0, c));
    pdgamma[c] = static_cast<float>(sums.total(1, c) * reciprocal_deviation(pvar[c], args));
  }
}

void backward_apply(const Tensor& dy, const Tensor& x, const Tensor& y, const Tensor& mean, const Tensor& var,
                    const Tensor& gamma, const Tensor& sum_dy_xhat, const Tensor& sum_dy, double count,
                    const BatchNormArgs& args, Tensor& dx, Tensor& dresidual) {
  static constexpr auto op = ops::BatchNormBackwardApply::name;
  const Elements g(op, dy), px(op, x), py(op, activated(args) ? y : Tensor()), pdx(op, dx),
      pdresidual(op, dresidual);
  const float *pmean = floats(op, mean), *pvar = floats(op, var), *pgamma = floats(op, gamma),
              *products = floats(op, sum_dy_xhat), *sums = floats(op, sum_dy);
  if (!pdx && !pdresidual) return;
  const FoldedRows m(x.shape().rows(), x.shape().back());
  const Rows<float> parameters(4, m.columns);
  for (int64_t c = 0; c < m.channels; ++c) {
    const double rstd = reciprocal_deviation(pvar[c], args), scale = pgamma[c] * rstd;
    const bool constant = sums == nullptr || products == nullptr;
    spread(m, c, pmean[c], parameters[0]);
    spread(m, c, scale, parameters[1]);
    spread(m, c, constant ? 0 : -scale * rstd * products[c] / count, parameters[2]);
    spread(m, c, constant ? 0 : -scale * sums[c] / count, parameters[3]);
  }
  const NormalizeBackwardParameters p{parameters[0], parameters[1], parameters[2], parameters[3]};
  const bool past = (!pdx || may_go_past_caches(pdx, m.rows, m.columns)) &&
                    (!pdresidual || may_go_past_caches(pdresidual, m.rows, m.columns));
  parallel_for(m.rows, m.grain(), [&](int64_t begin, int64_t end) {
    const int64_t i = begin * m.columns;
    normalize_backward(g.from(i), px.from(i), py.from(i), args.activation, p, end - begin, m.columns, past,
                       pdx.from(i), pdresidual.from(i));
  });
}

void update(const Tensor& mean, const Tensor& var, double count, double momentum, Tensor& running_mean,
            Tensor& running_var) {
  static constexpr auto op = ops::BatchNormUpdate::name;
  const auto blend = [&](float* running, const float* batch, double factor) {
    for (int64_t c = 0; c < mean.numel(); ++c) {
      if (!std::isfinite(batch[c])) continue;
      running[c] = static_cast<float>((1 - momentum) * running[c] + momentum * factor * batch[c]);
    }
  };
  blend(floats(op, running_mean), floats(op, mean), 1);
  blend(floats(op, running_var), floats(op, var), count / (count - 1));
}

void sums(const Tensor& mean, const Tensor& var, double count, Tensor& out) {
  const int64_t channels = mean.numel();
  const float *pmean = floats(ops::BatchNormSums::name, mean), *pvar = floats(ops::BatchNormSums::name, var);
  double *sum = out.data<double>(), *squares = sum + channels;
  for (int64_t c = 0; c < channels; ++c) {
    const double m = pmean[c];
    sum[c] = count * m;
    squares[c] = count * (pvar[c] + m * m);
  }
}

void moments(const Tensor& in, double count, Tensor& mean, Tensor& var) {
  const int64_t channels = mean.numel();
  const double *sum = in.data<double>(), *squares = sum + channels;
  float *pmean = floats(ops::BatchNormMoments::name, mean), *pvar = floats(ops::BatchNormMoments::name, var);
  for (int64_t c = 0; c < channels; ++c) {
    const double m = sum[c] / count;
    pmean[c] = static_cast<float>(m);
    pvar[c] = static_cast<float>(std::max(0.0, squares[c] / count - m * m));
  }
}

constexpr auto cpu = Device::Kind::cpu;
[[maybe_unused]] const bool added[] = {
    add_kernel<ops::BatchNormStatistics, statistics, f32_and_bf16>(),
    add_kernel<ops::BatchNormApply, apply, f32_and_bf16>(),
    add_kernel<ops::BatchNormBackwardReduce, backward_reduce, f32_and_bf16>(),
    add_kernel<ops::BatchNormBackwardApply, backward_apply, f32_and_bf16>(),
    Kernels<ops::BatchNormUpdate>::add(cpu, update),
    Kernels<ops::BatchNormSums>::add(cpu, sums),
    Kernels<ops::BatchNormMoments>::add(cpu, moments),
};

}  // namespace

}  // namespace trainer::cpu
