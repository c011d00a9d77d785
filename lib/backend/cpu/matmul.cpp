// Linear layers through oneDNN's matmul. Activations stay as they are. Weights are copied into the layout
// that the primitive prefers where enough rows share the copy: that is 4 % faster than what it packs by
// itself.
#include "lib/backend/cpu/matmul.h"

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/column_sum.h"
#include "lib/backend/cpu/elementwise.h"
#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/gelu.h"
#include "lib/backend/cpu/onednn.h"
#include "lib/backend/cpu/packing.h"
#include "lib/backend/cpu/pieces.h"
#include "lib/backend/cpu/primitive_cache.h"
#include "lib/ops/matmul.h"

namespace trainer::cpu {
namespace {

/// c [m, n] = a [m, k] b [k, n] (+ bias [n]); a and b may be given transposed.
struct Gemm {
  int64_t m, k, n;
  bool transpose_a = false, transpose_b = false, bias = false;  // the bias is f32
  bool weights = false;                                         // b is a parameter
  DType type, c_type;                                           // of a and b; of c
  int64_t largest = m, whole = m;  // rows of the largest piece, and of all of them

  Gemm piece(int64_t rows, int64_t of_largest) const {
    Gemm g = *this;
    g.m = rows;
    g.largest = of_largest;
    return g;
  }

  double flops() const {
    return 2.0 * static_cast<double>(m) * static_cast<double>(k) * static_cast<double>(n);
  }
  Key key(const Pieces& pieces) const {
    return {m,
            k,
            n,
            transpose_a,
            transpose_b,
            bias,
            weights,
            static_cast<int64_t>(type),
            static_cast<int64_t>(c_type),
            largest,
            whole,
            pieces.threads(),
            pieces.primitive_threads()};
  }
  dnnl::memory::desc a_desc() const {
    return strided({m, k}, transpose_a ? dnnl::memory::dims{1, whole} : dnnl::memory::dims{k, 1}, type);
  }
  dnnl::memory::desc b_desc() const {
    return strided({k, n}, transpose_b ? dnnl::memory::dims{1, k} : dnnl::memory::dims{n, 1}, type);
  }
  dnnl::memory::desc bias_desc() const { return plain({1, n}); }
  dnnl::memory::desc c_desc() const { return plain({m, n}, c_type); }

  /// Whether enough rows share a copy of b in another layout.
  bool packs() const { return weights && whole >= 512; }
  /// With b in the layout that the primitive of the largest piece prefers, so that all pieces share it.
  dnnl::matmul::primitive_desc describe() const {
    const auto b = !packs()       ? b_desc()
                   : m == largest ? any_layout({k, n}, type)
                                  : piece(largest, largest).describe().weights_desc();
    return forward_desc<dnnl::matmul>(a_desc(), b, bias ? bias_desc() : dnnl::memory::desc(), c_desc());
  }
};

struct GemmPlan {
  Packing packing;
  Primitive matmul;

  static GemmPlan make(const Gemm& g) {
    const auto pd = g.describe();
    const auto packed = pd.weights_desc();
    return {Packing(g.b_desc(), packed, packed), Primitive(dnnl::matmul(pd),
                                                           {{DNNL_ARG_SRC, g.a_desc()},
                                                            {DNNL_ARG_WEIGHTS, packed},
                                                            {DNNL_ARG_BIAS, g.bias_desc()},
                                                            {DNNL_ARG_DST, g.c_desc()}},
                                                           pd.scratchpad_desc())};
  }
};

/// The calling thread's plan for a piece of so many rows.
GemmPlan& plan(const Gemm& whole, const Pieces& pieces, int64_t rows) {
  const Gemm g = whole.piece(rows, pieces.largest());
  return cached<GemmPlan>(g.key(pieces), [&] {
    const ThreadScope threads(pieces.primitive_threads());
    return GemmPlan::make(g);
  });
}

/// Calls after(begin, end) for rows of c that are complete: once, or for each piece by the thread that has made it.
template <class After>
void run(const Gemm& g, const Tensor& a, const Tensor& b, const Tensor& bias, Tensor& c, const After& after) {
  static constexpr int64_t smallest_piece = 64;  // rows
  if (c.numel() == 0) return;
  if (g.k == 0 && !g.bias) {
    c.zero();
    return after(0, g.m);
  }
  // A gradient of weights over many rows: oneDNN's product for one thread is faster than that for several.
  const bool many = g.transpose_a && g.k >= 512;
  const Pieces pieces(g.m, g.flops(), smallest_piece, 32, many ? Team::apart : Team::together);
  const ThreadScope scope(pieces.threads());
  const Converted<const Tensor&> f32_bias(bias, f32_alone);
  const PackedWeights packed =
      g.packs() ? pack(b, plan(g, pieces, pieces.largest()).packing) : PackedWeights{{}, b.raw()};
  const auto a_step = static_cast<int64_t>(size_of(g.type)) * (g.transpose_a ? 1 : g.k),
             c_step = static_cast<int64_t>(size_of(g.c_type)) * g.n;
  pieces.reserve([&](int64_t rows) { return plan(g, pieces, rows).matmul.scratchpad_bytes(); });
  pieces.run([&](int64_t, int64_t begin, int64_t end) {
    plan(g, pieces, end - begin)
        .matmul.run({a.raw() + begin * a_step, packed.data, g.bias ? f32_bias.value.raw() : nullptr,
                     c.raw() + begin * c_step});
    after(begin, end);
  });
}

void run(const Gemm& g, const Tensor& a, const Tensor& b, const Tensor& bias, Tensor& c) {
  run(g, a, b, bias, c, [](int64_t, int64_t) {});
}

/// x w^T (+ bias).
Gemm forward(const Tensor& x, const Tensor& w, const Tensor& bias) {
  return {.m = x.shape().rows(),
          .k = w.size(1),
          .n = w.size(0),
          .transpose_b = true,
          .bias = bias.defined(),
          .weights = true,
          .type = x.dtype(),
          .c_type = x.dtype()};
}

void linear_gelu(const Tensor& x, const Tensor& w, const Tensor& bias, ops::GeluForm form, Tensor& y,
                 Tensor& slope) {
  static constexpr auto op = ops::LinearGelu::name;
  const Gemm g = forward(x, w, bias);
  Tensor& product = slope.defined() ? slope : y;  // one of them takes its place
  const Elements before(op, product), value(op, y), derivative(op, slope);
  run(g, x, w, bias, product, [&](int64_t begin, int64_t end) {
    const int64_t first = begin * g.n;
    gelu_elements(before.from(first), form, value.from(first), derivative.from(first), end * g.n - first);
  });
}

}  // namespace

void linear(const Tensor& x, const Tensor& w, const Tensor& bias, ops::Activation activation, Tensor& y) {
  const Gemm g = forward(x, w, bias);
  if (activation == ops::Activation::none) return run(g, x, w, bias, y);
  const Elements out(ops::Linear::name, y);
  // Not as a post-op of the product: oneDNN's ReLU makes 0 of NaN.
  run(g, x, w, bias, y, [&](int64_t begin, int64_t end) {
    const Elements rows = out.from(begin * g.n);
    activate_elements(rows, activation, rows, (end - begin) * g.n);
  });
}

void linear_backward_data(const Tensor& dy, const Tensor& w, Tensor& dx) {
  run({.m = dy.shape().rows(),
       .k = w.size(0),
       .n = w.size(1),
       .weights = true,
       .type = dy.dtype(),
       .c_type = dx.dtype()},
      dy, w, {}, dx);
}

void linear_backward_weight(const Tensor& dy, const Tensor& x, Tensor& dw, Tensor& dbias) {
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

[[maybe_unused]] static const bool added[] = {
    add_kernel<ops::Linear, linear, native_in_onednn>(),
    add_kernel<ops::LinearGelu, linear_gelu, native_in_onednn>(),
    add_kernel<ops::LinearBackwardData, linear_backward_data, native_in_onednn>(),
    add_kernel<ops::LinearBackwardWeight, linear_backward_weight, native_in_onednn>(),
};

}  // namespace trainer::cpu
