// Initialisation of parameters, with PyTorch's names and formulas (torch.nn.init, timm).
#pragma once

#include <string_view>

#include "lib/base/rng.h"
#include "lib/tensor/tensor.h"

namespace trainer::nn {

struct Init {
  enum class Kind { constant, normal, truncated_normal, uniform } kind = Kind::constant;
  double scale = 0;  ///< value, standard deviation or bound

  static Init constant(double value) { return {Kind::constant, value}; }
  static Init zeros() { return constant(0); }
  static Init ones() { return constant(1); }
  static Init normal(double std) { return {Kind::normal, std}; }
  /// Cut at +-2 in absolute value, as timm's trunc_normal_(std).
  static Init truncated_normal(double std) { return {Kind::truncated_normal, std}; }
  /// In [-bound, bound).
  static Init uniform(double bound) { return {Kind::uniform, bound}; }
  /// He et al. 2015 for ReLU, preserving the backward pass: std = sqrt(2 / fan_out).
  static Init kaiming_normal(double fan_out);
  /// What torch.nn.Linear and Conv2d do by default (kaiming_uniform_ with a = sqrt(5)): bound 1 /
  /// sqrt(fan_in).
  static Init fan_in_uniform(double fan_in);
};

/// Fills a host tensor (f32 or f64); element i is a function of rng and i alone.
void fill(Tensor&, const Init&, const Rng&);

}  // namespace trainer::nn
