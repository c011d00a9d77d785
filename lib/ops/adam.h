// Adam's updates over arenas (lib/ops/flat.h): Kingma and Ba, 2015, with torch.optim's arithmetic.
#pragma once

#include "lib/ops/flat.h"

namespace trainer::ops {

struct AdamArgs {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
};
struct AdamWStep {
  static constexpr std::string_view name = "adamw_step";
  using Fn = void(const Tensor& control, std::span<const Segment>, const AdamArgs&, const Tensor& gradient,
                  Tensor& parameter, Tensor& exp_avg, Tensor& exp_avg_sq, Tensor& copy);
};
struct AdamDirection {
  static constexpr std::string_view name = "adam_direction";
  using Fn = void(const Tensor& control, std::span<const Segment>, const AdamArgs&, const Tensor& parameter,
                  Tensor& gradient, Tensor& exp_avg, Tensor& exp_avg_sq);
};

/// Adam with decoupled weight decay (Loshchilov and Hutter, 2019), as torch.optim.AdamW computes it. With
/// g = multiplier gradient, and lr the control's times the segment's factor:
///   m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g g
///   p = (1 - lr weight_decay) p - lr m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps)
/// `copy` is as in sgd_step().
void adamw_step(const Tensor& control, std::span<const Segment>, const AdamArgs&, const Tensor& gradient,
                Tensor& parameter, Tensor& exp_avg, Tensor& exp_avg_sq, Tensor& copy);
/// Updates the moments in the same way and leaves the parameter alone: `gradient` becomes what a step goes
/// along, m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay p.
void adam_direction(const Tensor& control, std::span<const Segment>, const AdamArgs&, const Tensor& parameter,
                    Tensor& gradient, Tensor& exp_avg, Tensor& exp_avg_sq);

}  // namespace trainer::ops
