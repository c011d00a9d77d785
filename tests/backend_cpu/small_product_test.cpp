// Products of small matrices, on every instruction set: each has tiles of other sizes.
#include "lib/backend/cpu/small_product.h"

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
  multiply({rows, columns, depth, row, step, stride}, a.data(), b.data(), y.data(), stride);
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

TEST_CASE("small products on every instruction set", "[small_product]") {
  InstructionSets().each([] {
    for (const int64_t rows : {1, 2, 5, 6, 7, 11, 12, 13, 23, 24, 25, 37}) {
      for (const int64_t columns : {1, 4, 15, 16, 17, 32, 33, 48})
        check_product(rows, columns, rows % 7 + 1, columns % 2 == 0);
    }
  });
}

TEST_CASE("small products go to rows of a tensor, with a factor each", "[small_product]") {
  const Matrix a = normal(stride, stride, 9), b = normal(stride, stride, 10), factors = normal(1, stride, 11);
  InstructionSets().each([&] {
    for (const int64_t rows : {1, 7, 25}) {
      for (const int64_t columns : {1, 15, 16, 17, 31, 40}) {
        const SmallProduct p{rows, columns, 9, stride, 1, stride};
        Matrix sums(stride * stride), y(stride * stride, 7), plain = y;
        multiply(p, a.data(), b.data(), sums.data(), stride);
        multiply(p, a.data(), b.data(), {Elements(y.data()), stride, columns}, factors.data());
        multiply(p, a.data(), b.data(), {Elements(plain.data()), stride, columns});
        for (size_t r = 0; r < stride; ++r) {
          for (size_t c = 0; c < stride; ++c) {
            const size_t i = r * stride + c;
            const bool written = r < static_cast<size_t>(rows) && c < static_cast<size_t>(columns);
            CHECK(y[i] == (written ? sums[i] * factors[r] : 7.0F));
            CHECK(plain[i] == (written ? sums[i] : 7.0F));
          }
        }
      }
    }
  });
}

TEST_CASE("small matrices are transposed on every instruction set", "[small_product]") {
  InstructionSets().each([] {
    const Matrix x = normal(stride, stride, 3);
    for (const int64_t rows : {1, 3, 4, 9, 30}) {
      for (const int64_t width : {1, 4, 6, 32}) {
        Matrix y(stride * stride, 7);
        transpose(reinterpret_cast<const uint32_t*>(x.data()), stride, rows, width,
                  reinterpret_cast<uint32_t*>(y.data()), stride);
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

using Halves = std::vector<bf16>;
using Pairs = std::vector<Bf16Pair>;

Halves narrow(const Matrix& m) {
  Halves h;
  for (const float v : m) h.emplace_back(v);
  return h;
}

ElementRows rows_of(const Halves& m, int64_t width) {
  Elements e(reinterpret_cast<const float*>(m.data()));
  e.dtype = DType::bf16;
  return {e, stride, width};
}

TEST_CASE("rows of bf16 become pairs on every instruction set", "[small_product]") {
  const Halves x = narrow(normal(stride, stride, 4));
  const auto bits = [&](int64_t r, int64_t c) -> uint32_t {
    return x[static_cast<size_t>(r * stride + c)].bits;
  };
  InstructionSets().each([&] {
    for (const int64_t rows : {1, 2, 7, 30}) {
      for (const int64_t width : {1, 4, 15, 34}) {
        Pairs y(stride * stride, 7);
        pair_rows(x.data(), stride, rows, width, y.data(), stride);
        Pairs expected(stride * stride, 7);
        for (int64_t r = 0; r < rows; r += 2) {
          for (int64_t c = 0; c < width; ++c)
            expected[static_cast<size_t>(r / 2 * stride + c)] =
                bits(r, c) | (r + 1 < rows ? bits(r + 1, c) << 16 : 0);
        }
        CHECK(y == expected);
      }
    }
  });
}

TEST_CASE("small products of pairs of bf16, from rows and from paired rows", "[small_product]") {
  if (!has_bf16_products()) {
    WARN("this processor does not multiply pairs of bf16");
    return;
  }
  const Halves a = narrow(normal(stride, stride, 5)), b = narrow(normal(stride, stride, 6));
  Pairs b_pairs(stride * stride), a_pairs(stride * stride);
  for (const int64_t rows : {1, 5, 12, 13, 25, 37}) {
    for (const int64_t columns : {1, 16, 17, 33, 48}) {
      for (const int64_t depth : {2, 6, 14}) {
        INFO(rows << " x " << columns << " over " << depth);
        pair_rows(b.data(), stride, depth, columns, b_pairs.data(), stride);
        pair_rows(a.data(), stride, depth, rows, a_pairs.data(), stride);
        const auto check = [&](const SmallProduct& p, const Bf16Pair* left, auto&& at) {
          Matrix y(stride * stride, 7);
          multiply(p, left, b_pairs.data(), y.data(), stride);
          double worst = 0;
          for (int64_t r = 0; r < stride; ++r) {
            for (int64_t c = 0; c < columns; ++c) {
              double sum = 0;
              for (int64_t k = 0; k < depth; ++k)
                sum += double{static_cast<float>(at(r, k))} *
                       static_cast<float>(b[static_cast<size_t>(k * stride + c)]);
              if (r >= rows) sum = 7;  // nothing is written below the last row
              worst = std::max(worst, std::abs(y[static_cast<size_t>(r * stride + c)] - sum));
            }
          }
          CHECK(worst < 1e-5);
        };
        check({rows, columns, depth / 2, stride / 2, 1, stride}, reinterpret_cast<const Bf16Pair*>(a.data()),
              [&](int64_t r, int64_t k) { return a[static_cast<size_t>(r * stride + k)]; });
        check({rows, columns, depth / 2, 1, stride, stride}, a_pairs.data(),
              [&](int64_t r, int64_t k) { return a[static_cast<size_t>(k * stride + r)]; });
      }
    }
  }
}

TEST_CASE("products of pairs go to rows of bf16, and rows of f32 become pairs", "[small_product]") {
  if (!has_bf16_products()) {
    WARN("this processor does not multiply pairs of bf16");
    return;
  }
  const Matrix x = normal(stride, stride, 12), factors = normal(1, stride, 13);
  for (const int64_t rows : {1, 2, 7, 26}) {
    Halves halves(stride * stride, bf16(7.0F));
    Pairs paired(stride * stride, 7), paired_halves = paired;
    round_rows(x.data(), stride, rows, halves.data(), paired.data());
    for (size_t i = 0; i < halves.size(); ++i)
      CHECK(static_cast<float>(halves[i]) ==
            (i < static_cast<size_t>(rows * stride) ? static_cast<float>(bf16(x[i])) : 7.0F));
    pair_rows(halves.data(), stride, rows, stride, paired_halves.data(), stride);
    CHECK(paired == paired_halves);

    for (const int64_t columns : {2, 16, 18, 40}) {
      const SmallProduct p{rows, columns, 5, stride / 2, 1, stride};
      const auto* left = reinterpret_cast<const Bf16Pair*>(halves.data());
      Matrix sums(stride * stride);
      Halves y(stride * stride, bf16(7.0F)), plain = y;
      multiply(p, left, paired.data(), sums.data(), stride);
      multiply(p, left, paired.data(), rows_of(y, columns), factors.data());
      multiply(p, left, paired.data(), rows_of(plain, columns));
      for (size_t r = 0; r < stride; ++r) {
        for (size_t c = 0; c < stride; ++c) {
          const size_t i = r * stride + c;
          const bool written = r < static_cast<size_t>(rows) && c < static_cast<size_t>(columns);
          CHECK(static_cast<float>(y[i]) ==
                (written ? static_cast<float>(bf16(sums[i] * factors[r])) : 7.0F));
          CHECK(static_cast<float>(plain[i]) == (written ? static_cast<float>(bf16(sums[i])) : 7.0F));
        }
      }
    }
  }
}

TEST_CASE("rows are written with a factor each, as they are, and rounded", "[small_product]") {
  const Matrix x = normal(stride, stride, 7), factors = normal(1, stride, 8);
  InstructionSets().each([&] {
    for (const int64_t width : {1, 7, 16, 37}) {
      Halves y(stride * stride, bf16(7.0F)), plain = y;
      write_rows(x.data(), stride, factors.data(), 5, rows_of(y, width));
      write_rows(x.data(), stride, nullptr, 5, rows_of(plain, width));
      for (size_t r = 0; r < 6; ++r) {
        for (size_t c = 0; c < stride; ++c) {
          const size_t i = r * stride + c;
          const bool written = r < 5 && c < static_cast<size_t>(width);
          CHECK(static_cast<float>(y[i]) == (written ? static_cast<float>(bf16(x[i] * factors[r])) : 7.0F));
          CHECK(static_cast<float>(plain[i]) == (written ? static_cast<float>(bf16(x[i])) : 7.0F));
        }
      }
    }
  });
}

}  // namespace
}  // namespace trainer::cpu
