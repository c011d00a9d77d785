// The kernels of linear layers, for other ops that are products of matrices: shapes as in lib/ops/matmul.h.
#pragma once

#include "lib/ops/activation.h"
#include "lib/tensor/tensor.h"

namespace trainer::cpu {

void linear(const Tensor& x, const Tensor& w, const Tensor& bias, ops::Activation, Tensor& y);
void linear_backward_data(const Tensor& dy, const Tensor& w, Tensor& dx);
void linear_backward_weight(const Tensor& dy, const Tensor& x, Tensor& dw, Tensor& dbias);

}  // namespace trainer::cpu
