#include "lib/nn/layers.h"

#include "lib/autograd/conv.h"
#include "lib/autograd/elementwise.h"
#include "lib/autograd/gelu.h"
#include "lib/autograd/matmul.h"

namespace trainer::nn {
namespace {

/// Masks of dropout: a function of seed, layer and step; rows are counted over the step's whole batch, so
/// they do not depend on how it is cut into micro-batches and ranks.
ops::DropoutArgs mask(const Module& layer, double p, const Var& x, bool per_row) {
  const Context& c = layer.context();
  const int64_t row = per_row || x.shape()[0] == 0 ? 1 : x.value().numel() / x.shape()[0];
  return {.p = p,
          .key = Rng(c.seed).fork("dropout").fork(layer.path()).key(),
          .index = c.step,
          .first = c.first_row * row,
          .per_row = per_row};
}

double checked_probability(const char* layer, double p) {
  check(p >= 0 && p < 1, "{}: the probability must lie in [0, 1), got {}", layer, p);
  return p;
}

std::string pair_text(const ops::Pair& p) {
  return p.h == p.w ? std::to_string(p.h) : fmt::format("{}x{}", p.h, p.w);
}

}  // namespace

Conv2d::Conv2d(int64_t in, int64_t out, const Conv2dOptions& o)
    : args_{.stride = o.stride, .padding = o.padding, .dilation = o.dilation, .groups = o.groups} {
  check(in % o.groups == 0 && out % o.groups == 0, "Conv2d: {} -> {} channels do not divide into {} groups",
        in, out, o.groups);
  const auto fan_in = static_cast<double>(in / o.groups * o.kernel.h * o.kernel.w);
  weight_ = Parameter({out, o.kernel.h, o.kernel.w, in / o.groups},
                      o.init.value_or(Init::fan_in_uniform(fan_in)), Layout::filter, Role::product);
  if (o.bias) bias_.emplace(Shape{out}, Init::fan_in_uniform(fan_in));
}

Var Conv2d::forward(const Var& x) {
  return autograd::conv2d(autograd::cast(x, weight_.var.value().dtype()), weight_.var,
                          bias_ ? bias_->var : Var(), args_);
}

void Conv2d::visit(Visitor& v) { v("weight", weight_), v("bias", bias_); }

std::string Conv2d::description() const {
  const Shape& w = weight_.var.shape();
  std::string s = fmt::format("Conv2d({}, {}, kernel {}", w[3] * args_.groups, w[0], pair_text({w[1], w[2]}));
  if (args_.stride != ops::Pair(1)) s += ", stride " + pair_text(args_.stride);
  if (args_.dilation != ops::Pair(1)) s += ", dilation " + pair_text(args_.dilation);
  if (args_.groups != 1) s += fmt::format(", groups {}", args_.groups);
  return s + ")";
}

int64_t Conv2d::macs(const Shape&, const Shape& y) const {
  return y.numel() * weight_.var.shape().drop_front().numel();
}

Linear::Linear(int64_t in, int64_t out, const LinearOptions& o)
    : weight_({out, in}, o.init.value_or(Init::fan_in_uniform(static_cast<double>(in))), Layout::plain,
              Role::product) {
  if (o.bias) bias_.emplace(Shape{out}, o.bias_init.value_or(Init::fan_in_uniform(static_cast<double>(in))));
}

template <class Fused, class After>
Var Linear::apply(const Var& x, const Fused& fused, const After& after) {
  const Var in = autograd::cast(x, weight_.var.value().dtype()), bias = bias_ ? bias_->var : Var();
  if (!adapter_) return fused(in, weight_.var, bias);
  return after(adapter_->forward(in, autograd::linear(in, weight_.var, bias)));
}

Var Linear::apply(const Var& x, ops::Activation activation) {
  return apply(
      x,
      [&](const Var& in, const Var& w, const Var& bias) { return autograd::linear(in, w, bias, activation); },
      [&](const Var& y) {
        return activation == ops::Activation::none ? y : autograd::activate(y, activation);
      });
}

Var Linear::gelu(const Var& x, ops::GeluForm form) {
  return observed(x, [&] {
    return apply(
        x,
        [&](const Var& in, const Var& w, const Var& bias) {
          return autograd::linear_gelu(in, w, bias, form);
        },
        [&](const Var& y) { return autograd::gelu(y, form); });
  });
}

void Linear::visit(Visitor& v) {
  v("weight", weight_), v("bias", bias_);
  if (adapter_) adapter_->visit(v);
}

void Linear::add_adapter(std::unique_ptr<Adapter> adapter) {
  check(adapter_ == nullptr, "{} has an adapter already", description());
  adapter_ = std::move(adapter);
  struct Mark final : Visitor {
    void parameter(const std::string&, Parameter& p) override { p.internal = true; }
  } mark;
  adapter_->visit(mark);
  weight_.exported = [a = adapter_.get()](const Tensor& w) { return a->merged(w); };
}

std::string Linear::description() const {
  return fmt::format("Linear({}, {})", weight_.var.shape()[1], weight_.var.shape()[0]);
}

int64_t Linear::macs(const Shape&, const Shape& y) const { return y.numel() * weight_.var.shape()[1]; }

BatchNorm::BatchNorm(int64_t channels, const BatchNormOptions& o)
    : weight_({channels}, Init::constant(o.gamma), Layout::plain, Role::norm),
      bias_({channels}, Init::zeros(), Layout::plain, Role::norm),
      running_mean_{Tensor::zeros({channels}), 0},
      running_var_{Tensor::full({channels}, 1), 1},
      num_batches_tracked_{Tensor::zeros({}, DType::i64), 0},
      eps_(o.eps),
      momentum_(o.momentum) {}

Var BatchNorm::apply(const Var& x, const Var& residual, ops::Activation activation) {
  const ops::BatchNormArgs args{.eps = eps_, .activation = activation};
  const ops::Moments running{running_mean_.value, running_var_.value};
  if (!training() || (weight_.frozen && bias_.frozen))
    return autograd::batch_norm_eval(x, weight_.var, bias_.var, residual, args, running);
  autograd::SharedBatch whole{.sum = context().batch_sum, .count = static_cast<double>(x.shape().rows())};
  if (whole.sum != nullptr) {  // a sample has as many rows on every rank, where this one may have no sample
    whole.count = static_cast<double>(context().batch_size * x.shape().drop_front().rows());
  }
  check(Exit::usage, whole.count > 1,
        "{}: batch norm needs more than one value per channel while training, got input {}", path(),
        x.shape());
  ops::Moments batch;
  Var y = autograd::batch_norm_train(x, weight_.var, bias_.var, residual, args, whole, batch);
  ops::batch_norm_update(batch, whole.count, momentum_, running_mean_.value, running_var_.value);
  num_batches_tracked_.value.data<int64_t>()[0] += 1;
  return y;
}

void BatchNorm::visit(Visitor& v) {
  v("weight", weight_), v("bias", bias_);
  v("running_mean", running_mean_), v("running_var", running_var_),
      v("num_batches_tracked", num_batches_tracked_);
}

std::string BatchNorm::description() const { return fmt::format("BatchNorm({})", weight_.var.shape()[0]); }

LayerNorm::LayerNorm(int64_t channels, const LayerNormOptions& o)
    : weight_({channels}, Init::ones(), Layout::plain, Role::norm),
      bias_({channels}, Init::zeros(), Layout::plain, Role::norm),
      eps_(o.eps) {}

Var LayerNorm::forward(const Var& x) { return autograd::layer_norm(x, weight_.var, bias_.var, args()); }

autograd::AddedAndNormed LayerNorm::add(const Var& x, const Var& residual) {
  autograd::AddedAndNormed both;
  observed(x, [&] {
    both = autograd::add_layer_norm(x, residual, weight_.var, bias_.var, args());
    return both.y;
  });
  return both;
}

ops::LayerNormArgs LayerNorm::args() const {
  ops::LayerNormArgs a{.eps = eps_};
  if (size_of(weight_.compute) == 2) a.dtype = weight_.compute;
  return a;
}

void LayerNorm::visit(Visitor& v) { v("weight", weight_), v("bias", bias_); }

std::string LayerNorm::description() const { return fmt::format("LayerNorm({})", weight_.var.shape()[0]); }

Dropout::Dropout(double p) : p_(checked_probability("Dropout", p)) {}

Var Dropout::forward(const Var& x) {
  if (!training() || p_ == 0) return x;
  return autograd::dropout(x, mask(*this, p_, x, false));
}

std::string Dropout::description() const { return fmt::format("Dropout({})", p_); }

DropPath::DropPath(double p) : p_(checked_probability("DropPath", p)) {}

Var DropPath::forward(const Var& x) {
  if (!active()) return x;
  return autograd::dropout(x, mask(*this, p_, x, true));
}

std::string DropPath::description() const { return fmt::format("DropPath({})", p_); }

}  // namespace trainer::nn
