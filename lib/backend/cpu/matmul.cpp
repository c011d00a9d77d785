// Linear layers through oneDNN's matmul. Activations stay as they are. Weights are copied into the layout
// that the primitive prefers where enough rows share the copy: that is 4 % faster than what it packs by
// itself.
#include "lib/ops/matmul.h"

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/column_sum.h"
#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/onednn.h"
#include "lib/backend/cpu/packing.h"
#include "lib/backend/cpu/parallel.h"
#include "lib/backend/cpu/primitive_cache.h"

namespace trainer::cpu {
namespace {

/// c [m, n] = a [m, k] b [k, n] (+ bias [n]); a and b may be given transposed.
struct Gemm {
  int64_t m, k, n;
  bool transpose_a = false, transpose_b = false, bias = false;  // the bias is f32
  bool weights = false;                                         // b is a parameter
  DType type, c_type;                                           // of a and b; of c

  double flops() const {
    return 2.0 * static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(n);
  }
  dnnl::memory::desc matrix(int64_t rows, int64_t columns, bool transposed) const {
    return transposed ? strided({rows, columns}, {1, rows}, type)
                      : strided({rows, columns}, {columns, 1}, type);
  }
};

struct GemmPlan {
  Packing packing;
  Primitive matmul;

  static GemmPlan make(const Gemm& g) {
    static constexpr int64_t enough_rows = 512;
    const auto a = g.matrix(g.m, g.k, g.transpose_a), b = g.matrix(g.k, g.n, g.transpose_b);
    const auto c = plain({g.m, g.n}, g.c_type), bias = plain({1, g.n});
    const auto pd =
        forward_desc<dnnl::matmul>(a, g.weights && g.m >= enough_rows ? any_layout({g.k, g.n}, g.type) : b,
                                   g.bias ? bias : dnnl::memory::desc(), c);
    const auto packed = pd.weights_desc();
    return {
        Packing(b, packed, packed),
        Primitive(dnnl::matmul(pd),
                  {{DNNL_ARG_SRC, a}, {DNNL_ARG_WEIGHTS, packed}, {DNNL_ARG_BIAS, bias}, {DNNL_ARG_DST, c}},
                  pd.scratchpad_desc())};
  }
};

void run(const Gemm& g, const Tensor& a, const Tensor& b, const Tensor& bias, Tensor& c) {
  if (c.numel() == 0) return;
  if (g.k == 0 && !g.bias) return c.zero();
  const int nthr = threads_for(g.flops());
  const ThreadScope scope(nthr);
  const Key key{g.m,
                g.k,
                g.n,
                g.transpose_a,
                g.transpose_b,
                g.bias,
                g.weights,
                static_cast<int64_t>(g.type),
                static_cast<int64_t>(g.c_type),
                nthr};
  const Converted<const Tensor&> f32_bias(bias, f32_alone);
  auto& [packing, matmul] = cached<GemmPlan>(key, [&] { return GemmPlan::make(g); });
  const PackedWeights packed = pack(b, packing);
  matmul.run({a.raw(), packed.data, g.bias ? f32_bias.value.raw() : nullptr, c.raw()});
}

void forward(const Tensor& x, const Tensor& w, const Tensor& bias, Tensor& y) {
  run({.m = x.shape().rows(),
       .k = w.size(1),
       .n = w.size(0),
       .transpose_b = true,
       .bias = bias.defined(),
       .weights = true,
       .type = x.dtype(),
       .c_type = y.dtype()},
      x, w, bias, y);
}

void backward_data(const Tensor& dy, const Tensor& w, Tensor& dx) {
  run({.m = dy.shape().rows(),
       .k = w.size(0),
       .n = w.size(1),
       .weights = true,
       .type = dy.dtype(),
       .c_type = dx.dtype()},
      dy, w, {}, dx);
}

void backward_weight(const Tensor& dy, const Tensor& x, Tensor& dw, Tensor& dbias) {
  run({.m = dw.size(0),
       .k = dy.shape().rows(),
       .n = dw.size(1),
       .transpose_a = true,
       .type = dy.dtype(),
       .c_type = dw.dtype()},
      dy, x, {}, dw);
  static constexpr auto op = ops::LinearBackwardWeight::name;
  if (!dbias.defined()) return;
  Converted<Tensor&> sums(dbias, f32_alone);
  column_sum(Elements(op, dy), dy.shape().rows(), dw.size(0), floats(op, sums.value));
}

[[maybe_unused]] const bool added[] = {
    add_kernel<ops::Linear, forward, native_in_onednn>(),
    add_kernel<ops::LinearBackwardData, backward_data, native_in_onednn>(),
    add_kernel<ops::LinearBackwardWeight, backward_weight, native_in_onednn>(),
};

}  // namespace
}  // namespace trainer::cpu
