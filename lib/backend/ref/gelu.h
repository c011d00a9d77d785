// GELU for other ops.
#pragma once

#include "lib/ops/gelu.h"

namespace trainer::ref {

/// As ops::Gelu; y may be x.
void gelu(const Tensor& x, ops::GeluForm, Tensor& y, Tensor& slope);

}  // namespace trainer::ref
