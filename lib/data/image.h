// Image: a decoded image on its way from a dataset to a batch, [height, width, channels], u8 or f32.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "lib/base/error.h"
#include "lib/tensor/dtype.h"
#include "lib/tensor/shape.h"

namespace trainer::data {

/// What a byte is as f32: v / 255, rounded once.
inline constexpr auto unit_interval = [] {
  std::array<float, 256> table{};
  for (size_t v = 0; v < table.size(); ++v) table[v] = static_cast<float>(v) / 255.0F;
  return table;
}();

/// Keeps its memory when it becomes another image, so that a worker that has seen its largest image allocates
/// no more.
class Image {
 public:
  const Shape& shape() const { return shape_; }  ///< [H, W, C]
  int64_t height() const { return shape_[0]; }
  int64_t width() const { return shape_[1]; }
  int64_t channels() const { return shape_[2]; }
  DType dtype() const { return dtype_; }

  /// Makes it an image of this shape and type, and returns its pixels to be written. T is uint8_t or float.
  template <class T>
  std::span<T> reset(int64_t height, int64_t width, int64_t channels) {
    check(height > 0 && width > 0 && channels > 0, "an image of {} x {} pixels and {} channels", height,
          width, channels);
    shape_ = {height, width, channels};
    dtype_ = dtype_of<T>;
    const size_t floats =
        (static_cast<size_t>(shape_.numel()) * sizeof(T) + sizeof(float) - 1) / sizeof(float);
    if (memory_.size() < floats) memory_.resize(floats);
    return pixels<T>();
  }

  /// Throws unless T is the type of its pixels.
  template <class T>
  std::span<T> pixels() {
    check(dtype_ == dtype_of<T>, "the image is {}, asked for {}", name_of(dtype_), name_of(dtype_of<T>));
    return {reinterpret_cast<T*>(memory_.data()), static_cast<size_t>(shape_.numel())};
  }
  template <class T>
  std::span<const T> pixels() const {
    return const_cast<Image*>(this)->pixels<T>();
  }

  /// The pixels as f32, bytes as unit_interval. `out` has shape().numel() elements.
  void copy_to(std::span<float> out) const;

 private:
  Shape shape_{0, 0, 0};
  DType dtype_ = DType::u8;
  std::vector<float> memory_;  // of whatever type
};

}  // namespace trainer::data
