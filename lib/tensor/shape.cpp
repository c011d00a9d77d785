#include "lib/tensor/shape.h"

#include <algorithm>

namespace trainer {

Shape::Shape(std::span<const int64_t> dims) : rank_(static_cast<int>(dims.size())) {
  check(dims.size() <= static_cast<size_t>(max_rank), "a shape has at most {} extents, got {}", int{max_rank},
        dims.size());
  std::copy(dims.begin(), dims.end(), dims_.begin());
}

int64_t Shape::numel() const {
  int64_t n = 1;
  for (const int64_t d : *this) {
    check(d >= 0, "shape {} has a negative extent", *this);
    check(!__builtin_mul_overflow(n, d, &n), "shape {} has more elements than fit into 64 bits", *this);
  }
  return n;
}

void Shape::throw_no_extent(int i) const { fail(Exit::internal, "shape {} has no extent {}", *this, i); }

Shape Shape::with(int i, int64_t extent) const {
  Shape s = *this;
  s[i] = extent;
  return s;
}

std::string Shape::str() const {
  std::string s = "[";
  for (int i = 0; i < rank_; ++i) s += (i > 0 ? ", " : "") + std::to_string(dims_[i]);
  return s + "]";
}

}  // namespace trainer
