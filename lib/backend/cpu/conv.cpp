// Convolution through oneDNN. Activations stay channels last; weights and their gradient are copied to and
// from the layout that the primitive prefers, which is worth it for all but the smallest maps: with plain
// weights oneDNN falls back to im2col + GEMM at half the speed. Where that is faster, 3x3 convolutions go to
// winograd.h, those with a filter per channel to depthwise.h, and those of single pixels are products of
// matrices, as those of patches and gradients of weights of strided filters can be (unfolded.h).
#include "lib/ops/conv.h"

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/depthwise.h"
#include "lib/backend/cpu/matmul.h"
#include "lib/backend/cpu/onednn.h"
#include "lib/backend/cpu/packing.h"
#include "lib/backend/cpu/pieces.h"
#include "lib/backend/cpu/primitive_cache.h"
#include "lib/backend/cpu/unfolded.h"
#include "lib/backend/cpu/winograd.h"

namespace trainer::cpu {
namespace {

using dnnl::memory;
using Forward = dnnl::convolution_forward;
using BackwardData = dnnl::convolution_backward_data;
using BackwardWeights = dnnl::convolution_backward_weights;
constexpr auto direct = dnnl::algorithm::convolution_direct;

/// Everything oneDNN needs to know of a convolution, or of a piece of its samples.
struct Problem {
  Shape x, w, y;
  ops::Conv2dArgs args;
  bool bias;
  DType type;  // of activations and weights; bias and its gradient are f32
  DType dw_type = DType::f32;
  int64_t largest = x[0];  // samples of the largest piece

  Problem piece(int64_t samples, int64_t of_largest) const {
    Problem p = *this;
    p.x = x.with(0, samples);
    p.y = y.with(0, samples);
    p.largest = of_largest;
    return p;
  }
  double flops() const {
    return 2.0 * static_cast<double>(y.numel()) * static_cast<double>(w.numel() / w[0]);
  }
  Key key(const Pieces& pieces) const {
    return {x[0],
            x[1],
            x[2],
            x[3],
            w[0],
            w[1],
            w[2],
            args.stride.h,
            args.stride.w,
            args.padding.h,
            args.padding.w,
            args.dilation.h,
            args.dilation.w,
            args.groups,
            bias,
            static_cast<int64_t>(type),
            static_cast<int64_t>(dw_type),
            largest,
            pieces.threads(),
            pieces.primitive_threads()};
  }

  memory::dims strides() const { return {args.stride.h, args.stride.w}; }
  memory::dims dilates() const { return {args.dilation.h - 1, args.dilation.w - 1}; }
  memory::dims padding_before() const { return {args.padding.h, args.padding.w}; }
  /// May be negative: rows that no window reaches are cut off.
  memory::dims padding_after() const {
    const auto after = [](int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t dilation,
                          int64_t before) {
      return (out - 1) * stride + dilation * (kernel - 1) + 1 - in - before;
    };
    return {after(x[1], y[1], w[1], args.stride.h, args.dilation.h, args.padding.h),
            after(x[2], y[2], w[2], args.stride.w, args.dilation.w, args.padding.w)};
  }

  memory::desc channels_last(const Shape& s) const {
    return strided({s[0], s[3], s[1], s[2]}, {s[1] * s[2] * s[3], 1, s[2] * s[3], s[3]}, type);
  }
  memory::desc x_desc() const { return channels_last(x); }
  memory::desc y_desc() const { return channels_last(y); }
  /// Undefined if there is no bias; oneDNN takes it so.
  memory::desc bias_desc() const { return bias ? bias_memory() : memory::desc(); }
  memory::desc bias_memory() const { return plain({w[0]}); }
  memory::dims w_dims() const {
    const int64_t g = args.groups;
    return g == 1 ? memory::dims{w[0], w[3], w[1], w[2]} : memory::dims{g, w[0] / g, w[3], w[1], w[2]};
  }
  /// Our layout, [O, KH, KW, I/groups].
  memory::desc w_desc(DType t) const {
    const int64_t filter = w[1] * w[2] * w[3];
    const memory::dims s{filter, 1, w[2] * w[3], w[3]};
    return args.groups == 1 ? strided(w_dims(), s, t)
                            : strided(w_dims(), {filter * (w[0] / args.groups), s[0], s[1], s[2], s[3]}, t);
  }

  /// The layout that a piece's primitive, of the description `of`, has for packed weights: that which the
  /// largest prefers, so that all pieces share them.
  template <class F>
  memory::desc packed(DType t, const F& of) const {
    return x[0] == largest ? any_layout(w_dims(), t) : of(piece(largest, largest));
  }

  Forward::primitive_desc forward(const memory::desc& w_layout) const {
    return forward_desc<Forward>(dnnl::prop_kind::forward_training, direct, x_desc(), w_layout, bias_desc(),
                                 y_desc(), strides(), dilates(), padding_before(), padding_after());
  }
  Forward::primitive_desc forward() const { return forward(any_layout(w_dims(), type)); }
};

struct ForwardPlan {
  Packing packing;
  Primitive convolution;

  static Forward::primitive_desc describe(const Problem& p) {
    return p.forward(
        p.packed(p.type, [](const Problem& largest) { return describe(largest).weights_desc(); }));
  }
  static ForwardPlan make(const Problem& p) {
    const auto pd = describe(p);
    const auto w = pd.weights_desc();
    return {Packing(p.w_desc(p.type), w, w), Primitive(Forward(pd),
                                                       {{DNNL_ARG_SRC, p.x_desc()},
                                                        {DNNL_ARG_WEIGHTS, w},
                                                        {DNNL_ARG_BIAS, p.bias_memory()},
                                                        {DNNL_ARG_DST, p.y_desc()}},
                                                       pd.scratchpad_desc())};
  }
};

struct BackwardDataPlan {
  Packing packing;
  Primitive convolution;

  static BackwardData::primitive_desc describe(const Problem& p) {
    const auto w = p.packed(p.type, [](const Problem& largest) { return describe(largest).weights_desc(); });
    return backward_desc<BackwardData>(p.forward(), direct, p.x_desc(), w, p.y_desc(), p.strides(),
                                       p.dilates(), p.padding_before(), p.padding_after());
  }
  static BackwardDataPlan make(const Problem& p) {
    const auto pd = describe(p);
    const auto w = pd.weights_desc();
    return {
        Packing(p.w_desc(p.type), w, w),
        Primitive(BackwardData(pd),
                  {{DNNL_ARG_DIFF_DST, p.y_desc()}, {DNNL_ARG_WEIGHTS, w}, {DNNL_ARG_DIFF_SRC, p.x_desc()}},
                  pd.scratchpad_desc())};
  }
};

struct BackwardWeightPlan {
  Packing unpacking;
  Primitive convolution;

  static BackwardWeights::primitive_desc describe(const Problem& p) {
    const auto dw =
        p.packed(p.dw_type, [](const Problem& largest) { return describe(largest).diff_weights_desc(); });
    return backward_desc<BackwardWeights>(p.forward(), direct, p.x_desc(), dw, p.bias_desc(), p.y_desc(),
                                          p.strides(), p.dilates(), p.padding_before(), p.padding_after());
  }
  static BackwardWeightPlan make(const Problem& p) {
    const auto pd = describe(p);
    const auto dw = pd.diff_weights_desc();
    return {Packing(dw, p.w_desc(p.dw_type), dw), Primitive(BackwardWeights(pd),
                                                            {{DNNL_ARG_SRC, p.x_desc()},
                                                             {DNNL_ARG_DIFF_DST, p.y_desc()},
                                                             {DNNL_ARG_DIFF_WEIGHTS, dw},
                                                             {DNNL_ARG_DIFF_BIAS, p.bias_memory()}},
                                                            pd.scratchpad_desc())};
  }
};

/// The calling thread's plan for a piece of so many samples.
template <class Plan>
Plan& plan(const Problem& whole, const Pieces& pieces, int64_t samples) {
  const Problem p = whole.piece(samples, pieces.largest());
  return cached<Plan>(p.key(pieces), [&] {
    const ThreadScope scope(pieces.primitive_threads());
    return Plan::make(p);
  });
}

/// Each pixel of y is w [O, C] times that pixel of x. Without matrix units oneDNN's product is at least as fast
/// as its convolution on the shapes of ResNet-50 (`trainer bench resnet50 --profile`).
bool is_product(const Tensor& w, const ops::Conv2dArgs& a) {
  return w.size(1) == 1 && w.size(2) == 1 && a.stride == 1 && a.padding == 0 && a.groups == 1 && !has_amx();
}
/// The gradient of weights sums over all pixels; where they are many the convolution is faster.
bool is_product_backward_weight(const Tensor& dy, const Tensor& dw, const ops::Conv2dArgs& a) {
  const int64_t few = dy.dtype() == DType::bf16 ? 4096 : 16384;
  return is_product(dw, a) && dy.shape().rows() <= few;
}

Tensor matrix(const Tensor& t) { return t.view({t.shape().rows(), t.shape().back()}); }
Tensor matrix_of_weights(const Tensor& w) { return w.view({w.size(0), w.size(3)}); }

void forward(const Tensor& x, const Tensor& w, const Tensor& bias, const ops::Conv2dArgs& args, Tensor& y) {
  if (y.numel() == 0) return;
  if (is_product(w, args)) {
    Tensor pixels = matrix(y);
    return linear(matrix(x), matrix_of_weights(w), bias, ops::Activation::none, pixels);
  }
  if (depthwise::wanted_forward(x, w, args)) return depthwise::forward(x, w, bias, args, y);
  if (winograd::wanted(y, w, args)) return winograd::forward(x, w, bias, args, y);
  if (unfolded::wanted_forward(y, w, args)) return unfolded::forward(x, w, bias, args, y);
  const Problem p{x.shape(), w.shape(), y.shape(), args, bias.defined(), x.dtype()};
  const Pieces pieces(p.x[0], p.flops());
  const ThreadScope scope(pieces.threads());
  const PackedWeights packed = pack(w, plan<ForwardPlan>(p, pieces, pieces.largest()).packing);
  const Converted<const Tensor&> b(bias, f32_alone);
  pieces.reserve([&](int64_t n) { return plan<ForwardPlan>(p, pieces, n).convolution.scratchpad_bytes(); });
  pieces.run([&](int64_t, int64_t begin, int64_t end) {
    plan<ForwardPlan>(p, pieces, end - begin)
        .convolution.run(
            {from_row(x, begin), packed.data, p.bias ? b.value.raw() : nullptr, from_row(y, begin)});
  });
}

void backward_data(const Tensor& dy, const Tensor& w, const ops::Conv2dArgs& args, Tensor& dx) {
  if (dx.numel() == 0) return;
  if (dy.numel() == 0) return dx.zero();
  if (is_product(w, args)) {
    Tensor pixels = matrix(dx);
    return linear_backward_data(matrix(dy), matrix_of_weights(w), pixels);
  }
  if (depthwise::wanted_backward_data(dx, w, args)) return depthwise::backward_data(dy, w, args, dx);
  if (winograd::wanted(dx, w, args)) return winograd::backward_data(dy, w, args, dx);
  const Problem p{dx.shape(), w.shape(), dy.shape(), args, false, dy.dtype()};
  const Pieces pieces(p.x[0], p.flops());
  const ThreadScope scope(pieces.threads());
  const PackedWeights packed = pack(w, plan<BackwardDataPlan>(p, pieces, pieces.largest()).packing);
  pieces.reserve(
      [&](int64_t n) { return plan<BackwardDataPlan>(p, pieces, n).convolution.scratchpad_bytes(); });
  pieces.run([&](int64_t, int64_t begin, int64_t end) {
    plan<BackwardDataPlan>(p, pieces, end - begin)
        .convolution.run({from_row(dy, begin), packed.data, from_row(dx, begin)});
  });
}

void backward_weight(const Tensor& dy, const Tensor& x, const ops::Conv2dArgs& args, Tensor& dw,
                     Tensor& dbias) {
  if (dy.numel() == 0) {
    dw.zero();
    if (dbias.defined()) dbias.zero();
    return;
  }
  if (is_product_backward_weight(dy, dw, args)) {
    Tensor weights = matrix_of_weights(dw);
    return linear_backward_weight(matrix(dy), matrix(x), weights, dbias);
  }
  if (depthwise::wanted_backward_weight(x, dw, args))
    return depthwise::backward_weight(dy, x, args, dw, dbias);
  if (winograd::wanted_backward_weight(dy, dw, args))
    return winograd::backward_weight(dy, x, args, dw, dbias);
  if (unfolded::wanted_backward_weight(dy, dw, args))
    return unfolded::backward_weight(dy, x, args, dw, dbias);
  Problem p{x.shape(), dw.shape(), dy.shape(), args, dbias.defined(), x.dtype()};
  // Threads within oneDNN's bf16 gradient spin for each other image by image. Small maps then take up to 30
  // times as long where other programs take turns with them; on larger ones it matters less.
  static constexpr int64_t small_map = 16;
  const Team team = p.type == DType::bf16 && p.y[1] * p.y[2] <= small_map ? Team::apart : Team::together;
  const Pieces pieces(p.x[0], p.flops(), 1, Partials::most(sizeof(float) * static_cast<size_t>(dw.numel())),
                      team);
  const ThreadScope scope(pieces.threads());
  Converted<Tensor&> sum(dw, pieces.count() > 1 ? f32_alone : native_in_onednn), db(dbias, f32_alone);
  p.dw_type = sum.value.dtype();
  const auto unpacking = [&]() -> Packing& {
    return plan<BackwardWeightPlan>(p, pieces, pieces.largest()).unpacking;
  };
  const Storage buffer = unpacking().needed() ? unpacking().buffer() : Storage();
  void* packed = buffer ? static_cast<void*>(buffer.data()) : sum.value.raw();
  const Partials partial_dw(pieces, unpacking().bytes(), packed),
      partial_db(pieces, p.bias ? db.value.bytes() : 0, p.bias ? db.value.raw() : nullptr);
  pieces.reserve(
      [&](int64_t n) { return plan<BackwardWeightPlan>(p, pieces, n).convolution.scratchpad_bytes(); });
  pieces.run([&](int64_t i, int64_t begin, int64_t end) {
    plan<BackwardWeightPlan>(p, pieces, end - begin)
        .convolution.run({from_row(x, begin), from_row(dy, begin), partial_dw[i], partial_db[i]});
  });
  partial_dw.add();
  partial_db.add();
  if (buffer) unpacking().run(packed, sum.value.raw());
}

[[maybe_unused]] const bool added[] = {
    add_kernel<ops::Conv2d, forward, native_in_onednn>(),
    add_kernel<ops::Conv2dBackwardData, backward_data, native_in_onednn>(),
    add_kernel<ops::Conv2dBackwardWeight, backward_weight, native_in_onednn>(),
};

}  // namespace
}  // namespace trainer::cpu
