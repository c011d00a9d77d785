// Sums over the rows of a matrix: gradients of biases and of the parameters of norms. Blocks of rows in f32,
// fixed chunks of blocks combined in order in f64: results do not depend on the number of threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/folded_rows.h"
#include "lib/backend/cpu/norm_loops.h"

namespace trainer::cpu {

/// `count` rows of `size` numbers from the pool.
template <class T>
class Rows {
 public:
  Rows(int64_t count, int64_t size)
      : storage_(static_cast<size_t>(count * size) * sizeof(T), Device{}), size_(size) {}
  /// Before threads make such rows for themselves.
  static void reserve_for_threads(int64_t count, int64_t size) {
    cpu::reserve_for_threads(count * size * static_cast<int64_t>(sizeof(T)));
  }
  T* operator[](int64_t i) const { return reinterpret_cast<T*>(storage_.data()) + i * size_; }

 private:
  Storage storage_;
  int64_t size_;
};

/// Calls block(begin, rows, sums...) for blocks of rows and adds their `outputs` rows of f32 sums up in f64,
/// in the order of fixed chunks: total(output, channel).
template <class Block>
class ColumnSums {
 public:
  ColumnSums(const FoldedRows& m, int64_t outputs, const Block& block)
      : m_(m),
        chunks_(chunks_of(m.rows, m.chunk())),
        partial_(std::max<int64_t>(chunks_, 1) * outputs, m.columns) {
    const auto sums_of_block = [&] { return Rows<float>(outputs, m.columns); };
    const auto add_chunk = [&](int64_t i, int64_t begin, int64_t end, const Rows<float>& sums) {
      std::fill_n(partial_[i * outputs], outputs * m.columns, 0.0);
      for (int64_t r = begin; r < end; r += m.block()) {
        block(r, std::min(m.block(), end - r), sums);
        add_floats(sums[0], outputs * m.columns, partial_[i * outputs]);
      }
    };
    Rows<float>::reserve_for_threads(outputs, m.columns);
    parallel_chunks(m.rows, m.chunk(), m.grain(), sums_of_block, add_chunk);
    for (int64_t i = 1; i < chunks_; ++i) {
      const double* part = partial_[i * outputs];
      double* whole = partial_[0];
      for (int64_t c = 0; c < outputs * m.columns; ++c) whole[c] += part[c];
    }
  }
  double total(int64_t output, int64_t channel) const {
    double sum = 0;
    if (chunks_ == 0) return sum;
    for (int64_t j = channel; j < m_.columns; j += m_.channels) sum += partial_[output][j];
    return sum;
  }

 private:
  const FoldedRows& m_;
  int64_t chunks_;
  Rows<double> partial_;
};

/// sums [columns] = sum over the rows of a matrix. make(begin, end) gives its elements [begin, end), a block of rows, just
/// before they are added, by the thread that adds them.
template <class Make>
void column_sum_of(int64_t rows, int64_t columns, float* sums, const Make& make) {
  const FoldedRows m(rows, columns);
  const ColumnSums all(m, 1, [&](int64_t row, int64_t n, const Rows<float>& block) {
    sum_rows(make(row * m.columns, (row + n) * m.columns), n, m.columns, block[0]);
  });
  for (int64_t c = 0; c < columns; ++c) sums[c] = static_cast<float>(all.total(0, c));
}

/// sums [columns] = sum over rows of x [rows, columns].
void column_sum(const Elements& x, int64_t rows, int64_t columns, float* sums);

}  // namespace trainer::cpu
