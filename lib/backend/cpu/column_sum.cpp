#include "lib/backend/cpu/column_sum.h"

#include "lib/backend/cpu/any_float.h"
#include "lib/ops/matmul.h"

namespace trainer::cpu {

void column_sum(const Elements& x, int64_t rows, int64_t columns, float* sums) {
  column_sum_of(rows, columns, sums, [&](int64_t begin, int64_t) { return x.from(begin); });
}

namespace {

void bias_backward(const Tensor& dy, Tensor& dbias) {
  static constexpr auto op = ops::BiasBackward::name;
  Converted<Tensor&> sums(dbias, f32_alone);
  column_sum(Elements(op, dy), dy.shape().rows(), dbias.numel(), floats(op, sums.value));
}

[[maybe_unused]] const bool added = add_kernel<ops::BiasBackward, bias_backward, f32_and_bf16>();

}  // namespace
}  // namespace trainer::cpu
