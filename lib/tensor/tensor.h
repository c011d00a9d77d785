// Tensor: a value that shares its storage when copied. Data only: gradients live in lib/autograd.
//
// Layout: contiguous, channels last at any rank: images [N, H, W, C], sequences [N, L, C], convolution
// weights [O, KH, KW, I/groups], linear weights [O, I]. There are no strides: view() and slice() share
// storage, everything else copies.
#pragma once

#include <span>
#include <type_traits>

#include "lib/tensor/device.h"
#include "lib/tensor/dtype.h"
#include "lib/tensor/shape.h"
#include "lib/tensor/storage.h"

namespace trainer {

class Tensor {
 public:
  Tensor() = default;  ///< no tensor: defined() is false

  static Tensor empty(Shape, DType = DType::f32, Device = {});
  static Tensor zeros(Shape, DType = DType::f32, Device = {});
  static Tensor full(Shape, double value, DType = DType::f32, Device = {});
  template <class T>
  static Tensor of(std::span<const T> values, Shape shape, Device device = {}) {
    return of_bytes(values.data(), values.size_bytes(), std::move(shape), dtype_of<T>, device);
  }
  /// A tensor over existing storage. Throws unless shape and dtype fit into it at `offset` bytes.
  static Tensor over(Storage, size_t offset, Shape, DType);

  bool defined() const { return static_cast<bool>(storage_); }
  const Shape& shape() const { return shape_; }
  int64_t size(int i) const { return shape_[i]; }
  int rank() const { return shape_.rank(); }
  int64_t numel() const { return numel_; }
  size_t bytes() const { return static_cast<size_t>(numel_) * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const { return storage_.device(); }

  /// The elements. Throws unless T is dtype(). The pointer is the device's: only host devices may be read
  /// here.
  template <class T>
  T* data() {
    expect(dtype_of<std::remove_const_t<T>>);
    return reinterpret_cast<T*>(raw());
  }
  template <class T>
  const T* data() const {
    expect(dtype_of<std::remove_const_t<T>>);
    return reinterpret_cast<const T*>(raw());
  }
  std::byte* raw() { return storage_.data() + offset_; }
  const std::byte* raw() const { return storage_.data() + offset_; }
  template <class T>
  std::span<T> span() {
    return {data<T>(), static_cast<size_t>(numel_)};
  }
  template <class T>
  std::span<const T> span() const {
    return {data<T>(), static_cast<size_t>(numel_)};
  }
  /// The only element of a one-element tensor of a floating type, wherever it lives.
  double item() const;

  /// Same storage, other shape of as many elements. One extent may be -1.
  Tensor view(Shape) const;
  /// Same storage, rows [begin, end) of the first extent.
  Tensor slice(int64_t begin, int64_t end) const;
  Tensor clone() const;
  /// *this if it is there already, else a copy.
  Tensor to(Device) const;
  Tensor to(DType) const;  ///< host only; rounds to nearest even
  /// Copies elements, across devices if need be; shapes and dtypes must be equal.
  void copy_from(const Tensor&);
  void zero();

  const Storage& storage() const { return storage_; }
  size_t offset() const { return offset_; }

 private:
  static Tensor of_bytes(const void*, size_t bytes, Shape, DType, Device);
  void expect(DType) const;

  Storage storage_;
  size_t offset_ = 0;  // bytes
  Shape shape_;
  int64_t numel_ = 0;
  DType dtype_ = DType::f32;
};

/// "f32 [64, 8, 8, 1] on cpu": for messages.
std::string describe(const Tensor&);

}  // namespace trainer
