// Linear layers through oneDNN's matmul, on plain layouts: it packs what it needs by itself.
#include "lib/ops/matmul.h"

#include "lib/backend/cpu/column_sum.h"
#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/onednn.h"
#include "lib/backend/cpu/parallel.h"
#include "lib/backend/cpu/primitive_cache.h"

namespace trainer::cpu {
namespace {

/// c [m, n] = a [m, k] b [k, n] (+ bias [n]); a and b may be given transposed.
struct Gemm {
  int64_t m, k, n;
  bool transpose_a = false, transpose_b = false, bias = false;

  double flops() const {
    return 2.0 * static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(n);
  }
  static dnnl::memory::desc matrix(int64_t rows, int64_t columns, bool transposed) {
    return transposed ? strided({rows, columns}, {1, rows}) : strided({rows, columns}, {columns, 1});
  }
};

struct GemmPlan {
  Primitive matmul;

  static GemmPlan make(const Gemm& g) {
    const auto a = Gemm::matrix(g.m, g.k, g.transpose_a), b = Gemm::matrix(g.k, g.n, g.transpose_b);
    const auto c = plain({g.m, g.n}), bias = plain({1, g.n});
    const auto pd = forward_desc<dnnl::matmul>(a, b, g.bias ? bias : dnnl::memory::desc(), c);
    return {Primitive(dnnl::matmul(pd),
                      {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, b}, {DNNL_ARG_BIAS, bias}, {DNNL_ARG_DST, c}},
                      pd.scratchpad_desc())};
  }
};

void run(const Gemm& g, const Tensor& a, const Tensor& b, const Tensor& bias, Tensor& c) {
  if (c.numel() == 0) return;
  if (g.k == 0 && !g.bias) return c.zero();
  const int nthr = threads_for(g.flops());
  const ThreadScope scope(nthr);
  const Key key{g.m, g.k, g.n, g.transpose_a, g.transpose_b, g.bias, nthr};
  auto& matmul = cached<GemmPlan>(key, [&] { return GemmPlan::make(g); }).matmul;
  matmul.run({a.raw(), b.raw(), g.bias ? bias.raw() : nullptr, c.raw()});
}

void forward(const Tensor& x, const Tensor& w, const Tensor& bias, Tensor& y) {
  floats(ops::Linear::name, x);
  run({x.shape().rows(), w.size(1), w.size(0), false, true, bias.defined()}, x, w, bias, y);
}

void backward_data(const Tensor& dy, const Tensor& w, Tensor& dx) {
  floats(ops::LinearBackwardData::name, dy);
  run({dy.shape().rows(), w.size(0), w.size(1)}, dy, w, {}, dx);
}

void backward_weight(const Tensor& dy, const Tensor& x, Tensor& dw, Tensor& dbias) {
  floats(ops::LinearBackwardWeight::name, dy);
  run({dw.size(0), dy.shape().rows(), dw.size(1), true, false}, dy, x, {}, dw);
  if (dbias.defined()) column_sum(dy.data<float>(), dy.shape().rows(), dw.size(0), dbias.data<float>());
}

const bool registered = Kernels<ops::Linear>::add(Device::Kind::cpu, forward) &&
                        Kernels<ops::LinearBackwardData>::add(Device::Kind::cpu, backward_data) &&
                        Kernels<ops::LinearBackwardWeight>::add(Device::Kind::cpu, backward_weight);

}  // namespace
}  // namespace trainer::cpu
