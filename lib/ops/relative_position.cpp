#include "lib/ops/relative_position.h"

#include "lib/ops/checks.h"

namespace trainer::ops {
namespace {

void expect_table(std::string_view op, std::string_view what, const Tensor& table, Pair window) {
  expect_floating(op, what, table);
  check(window.h > 0 && window.w > 0, "{}: a window of {}x{} tokens", op, window.h, window.w);
  const Shape& s = table.shape();
  const int64_t positions = (2 * window.h - 1) * (2 * window.w - 1);
  check(s.rank() == 2 && s[0] == positions, "{}: {} is {}, expected [{}, heads] for a window of {}x{}", op,
        what, s, positions, window.h, window.w);
  expect_type(op, what, table, accumulation_dtype(table.dtype()), table.device());
}

Shape bias_shape(const Tensor& table, Pair window) {
  const int64_t length = window.h * window.w;
  return {table.size(1), length, length};
}

}  // namespace

Tensor relative_position_bias(const Tensor& table, Pair window) {
  expect_table(RelativePositionBias::name, "table", table, window);
  Tensor bias = Tensor::empty(bias_shape(table, window), table.dtype(), table.device());
  Kernels<RelativePositionBias>::on(table.device())(table, window, bias);
  return bias;
}

void relative_position_bias_backward(const Tensor& dbias, Pair window, Tensor& dtable) {
  constexpr std::string_view op = RelativePositionBiasBackward::name;
  expect_table(op, "dtable", dtable, window);
  expect(op, "dbias", dbias, bias_shape(dtable, window), dtable.dtype(), dtable.device());
  Kernels<RelativePositionBiasBackward>::on(dbias.device())(dbias, window, dtable);
}

}  // namespace trainer::ops
