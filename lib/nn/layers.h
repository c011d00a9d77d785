// Layers with parameters or modes, named as in torch.nn, whose defaults and initialisation they share. Ops
// without either (ReLU, pooling, flatten) are functions: lib/autograd.
#pragma once

#include "lib/autograd/layer_norm.h"
#include "lib/autograd/norm.h"
#include "lib/nn/adapter.h"
#include "lib/nn/module.h"
#include "lib/ops/conv.h"
#include "lib/ops/gelu.h"

namespace trainer::nn {

struct Conv2dOptions {
  ops::Pair kernel = 1, stride = 1, padding = 0, dilation = 1;
  int64_t groups = 1;
  bool bias = true;
  std::optional<Init> init = {};  ///< weights; default torch's
};

/// [N, H, W, in] -> [N, OH, OW, out].
class Conv2d final : public Module {
 public:
  Conv2d(int64_t in, int64_t out, const Conv2dOptions& = {});
  Var forward(const Var& x) override;
  void visit(Visitor& v) override;
  std::string description() const override;
  int64_t macs(const Shape& x, const Shape& y) const override;

 private:
  Parameter weight_;
  std::optional<Parameter> bias_;
  ops::Conv2dArgs args_;
};

struct LinearOptions {
  bool bias = true;
  std::optional<Init> init = {};       ///< weights; default torch's
  std::optional<Init> bias_init = {};  ///< default torch's
};

/// [..., in] -> [..., out]. A ReLU or GELU that follows it is fused.
class Linear final : public Module {
 public:
  Linear(int64_t in, int64_t out, const LinearOptions& = {});
  Var forward(const Var& x) override { return apply(x, ops::Activation::none); }
  Var activate(const Var& x, ops::Activation activation) {
    return observed(x, [&] { return apply(x, activation); });
  }
  Var relu(const Var& x) { return activate(x, ops::Activation::relu); }
  Var gelu(const Var& x, ops::GeluForm = ops::GeluForm::exact);
  void visit(Visitor& v) override;
  std::string description() const override;
  int64_t macs(const Shape& x, const Shape& y) const override;

  int64_t in_features() const { return weight().size(1); }
  int64_t out_features() const { return weight().size(0); }
  const Tensor& weight() const { return weight_.value(); }  ///< [out, in]
  /// The adapter's update is part of forward(), its parameters are visited under this layer's path, and files
  /// of weights hold the weight with it merged. A layer takes one.
  void add_adapter(std::unique_ptr<Adapter>);

 private:
  Var apply(const Var& x, ops::Activation);
  /// fused(x, weight, bias), or after(output) of an adapted layer.
  template <class Fused, class After>
  Var apply(const Var& x, const Fused& fused, const After& after);

  Parameter weight_;
  std::optional<Parameter> bias_;
  std::unique_ptr<Adapter> adapter_;
};

struct BatchNormOptions {
  double eps = 1e-5, momentum = 0.1;
  double gamma = 1;  ///< initial weight; 0 for the last norm of a residual branch (Goyal et al., 2017)
};

/// Batch normalisation over the last axis (torch.nn.BatchNorm1d/2d): batch statistics while training, running
/// ones otherwise, and where weight and bias are frozen (as timm.utils.freeze has it). A residual addition
/// and a ReLU that follow it are fused.
class BatchNorm final : public Module {
 public:
  explicit BatchNorm(int64_t channels, const BatchNormOptions& = {});
  Var forward(const Var& x) override { return apply(x, {}, ops::Activation::none); }
  Var activate(const Var& x, ops::Activation activation) {
    return observed(x, [&] { return apply(x, {}, activation); });
  }
  Var relu(const Var& x) { return activate(x, ops::Activation::relu); }
  Var add(const Var& x, const Var& residual, ops::Activation activation = ops::Activation::none) {
    return observed(x, [&] { return apply(x, residual, activation); });
  }
  Var add_relu(const Var& x, const Var& residual) { return add(x, residual, ops::Activation::relu); }
  void visit(Visitor& v) override;
  std::string description() const override;

 private:
  Var apply(const Var& x, const Var& residual, ops::Activation);
  Parameter weight_, bias_;
  Buffer running_mean_, running_var_, num_batches_tracked_;
  double eps_, momentum_;
};

struct LayerNormOptions {
  double eps = 1e-5;
};

/// Layer normalisation over the last axis. The addition of a residual branch before it is fused. Under mixed
/// precision the sum stays as wide as the residual stream is, and the output has 16 bits.
class LayerNorm final : public Module {
 public:
  explicit LayerNorm(int64_t channels, const LayerNormOptions& = {});
  Var forward(const Var& x) override;
  /// x + residual, and that normalised.
  autograd::AddedAndNormed add(const Var& x, const Var& residual);
  void visit(Visitor& v) override;
  std::string description() const override;

 private:
  ops::LayerNormArgs args() const;
  Parameter weight_, bias_;
  double eps_;
};

/// Zeroes elements with probability p while training (Srivastava et al., 2014).
class Dropout final : public Module {
 public:
  explicit Dropout(double p);
  Var forward(const Var& x) override;
  void visit(Visitor&) override {}
  std::string description() const override;

 private:
  double p_;
};

/// Stochastic depth (Huang et al., 2016): drops a residual branch of whole samples with probability p while
/// training.
class DropPath final : public Module {
 public:
  explicit DropPath(double p);
  Var forward(const Var& x) override;
  void visit(Visitor&) override {}
  std::string description() const override;
  bool active() const { return training() && p_ > 0; }

 private:
  double p_;
};

}  // namespace trainer::nn
