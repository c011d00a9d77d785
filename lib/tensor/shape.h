// Shape: the extents of a tensor, outermost first. At most 8 of them, stored inline: no allocation.
//
//   Shape s{64, 8, 8, 3};
//   s.rank() == 4;  s[-1] == 3;  s.numel() == 12288;  s.with(-1, 16).str() == "[64, 8, 8, 16]";
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "lib/base/error.h"

namespace trainer {

class Shape {
 public:
  static constexpr int max_rank = 8;

  Shape() = default;  ///< rank 0: one element
  Shape(std::initializer_list<int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const int64_t> dims);

  int rank() const { return rank_; }
  /// Extent i; negative i counts from the end. Throws if there is none.
  int64_t operator[](int i) const { return dims_[index(i)]; }
  int64_t& operator[](int i) { return dims_[index(i)]; }
  int64_t back() const { return (*this)[-1]; }
  /// Product of all extents; 1 for rank 0. Throws on overflow and for a negative extent.
  int64_t numel() const;
  /// Product of all extents but the last (rows of a matrix view); 1 for rank 0.
  int64_t rows() const { return rank_ == 0 ? 1 : (back() == 0 ? 0 : numel() / back()); }

  const int64_t* begin() const { return dims_.data(); }
  const int64_t* end() const { return dims_.data() + rank_; }
  bool operator==(const Shape& o) const { return std::equal(begin(), end(), o.begin(), o.end()); }

  /// A copy with extent i replaced.
  Shape with(int i, int64_t extent) const;
  /// Without the first `count` extents, which must be there.
  Shape drop_front(int count = 1) const { return Shape(std::span(begin() + count, end())); }
  /// The first `count` extents, which must be there.
  Shape front(int count) const { return Shape(std::span(begin(), begin() + count)); }

  std::string str() const;  ///< "[64, 8, 8, 1]"

 private:
  int index(int i) const {
    const int k = i < 0 ? i + rank_ : i;
    if (k < 0 || k >= rank_) [[unlikely]]
      throw_no_extent(i);
    return k;
  }
  [[noreturn]] void throw_no_extent(int i) const;
  std::array<int64_t, max_rank> dims_{};
  int rank_ = 0;
};

}  // namespace trainer

template <>
struct fmt::formatter<trainer::Shape> : fmt::formatter<std::string_view> {
  auto format(const trainer::Shape& s, format_context& context) const {
    return fmt::formatter<std::string_view>::format(s.str(), context);
  }
};
