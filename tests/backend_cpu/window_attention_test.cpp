// The products of attention in windows, on every instruction set: each has tiles of other sizes.
#include "lib/backend/cpu/window_attention_loops.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "lib/base/rng.h"
#include "tests/backend_cpu/instruction_sets.h"

namespace trainer::cpu {
namespace {

using Matrix = std::vector<float>;

Matrix normal(int64_t rows, int64_t stride, uint64_t seed) {
  Matrix m(static_cast<size_t>(rows * stride));
  for (size_t i = 0; i < m.size(); ++i) m[i] = Rng(seed).normal(0, i);
  return m;
}

constexpr int64_t stride = 48;  // of all matrices: at most so many rows and columns

void check_product(int64_t rows, int64_t columns, int64_t depth, bool transposed) {
  INFO(rows << " x " << columns << " over " << depth << (transposed ? ", transposed" : ""));
  const Matrix a = normal(stride, stride, 1), b = normal(stride, stride, 2);
  const int64_t row = transposed ? 1 : stride, step = transposed ? stride : 1;
  Matrix y(stride * stride, 7);
  multiply({rows, columns, depth, row, step, stride, stride}, a.data(), b.data(), y.data());
  double worst = 0;
  for (int64_t r = 0; r < stride; ++r) {
    for (int64_t c = 0; c < columns; ++c) {
      double sum = 0;
      for (int64_t k = 0; k < depth; ++k)
        sum += double{a[static_cast<size_t>(r * row + k * step)]} * b[static_cast<size_t>(k * stride + c)];
      if (r >= rows) sum = 7;  // nothing is written below the last row
      worst = std::max(worst, std::abs(y[static_cast<size_t>(r * stride + c)] - sum));
    }
  }
  CHECK(worst < 1e-5);  // of at most seven terms, each below 20
}

TEST_CASE("small products on every instruction set", "[window_attention]") {
  InstructionSets().each([] {
    for (const int64_t rows : {1, 2, 5, 6, 7, 11, 12, 13, 23, 24, 25, 37}) {
      for (const int64_t columns : {1, 4, 15, 16, 17, 32, 33, 48})
        check_product(rows, columns, rows % 7 + 1, columns % 2 == 0);
    }
  });
}

TEST_CASE("small matrices are transposed on every instruction set", "[window_attention]") {
  InstructionSets().each([] {
    const Matrix x = normal(stride, stride, 3);
    for (const int64_t rows : {1, 3, 4, 9, 30}) {
      for (const int64_t width : {1, 4, 6, 32}) {
        Matrix y(stride * stride, 7);
        transpose(x.data(), stride, rows, width, y.data(), stride);
        Matrix expected(stride * stride, 7);
        for (int64_t r = 0; r < width; ++r) {
          for (int64_t c = 0; c < rows; ++c)
            expected[static_cast<size_t>(r * stride + c)] = x[static_cast<size_t>(c * stride + r)];
        }
        CHECK(y == expected);
      }
    }
  });
}

}  // namespace
}  // namespace trainer::cpu
