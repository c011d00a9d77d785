// Tensor: a contiguous array of one dtype on one device. Copies of a Tensor share memory. It is data only:
// gradients are in lib/autograd, arithmetic in lib/ops.
//
//   Tensor x = Tensor::zeros({64, 8, 8, 1});             // f32 on the CPU
//   Tensor rows = x.slice(0, 32).view({32, -1});         // [32, 64], x's memory
//   std::span<float> elements = rows.span<float>();
//   Tensor half = x.to(DType::bf16).to(Device::parse("cuda:0"));
//
// Layout: contiguous, channels last at any rank: images [N, H, W, C], sequences [N, L, C], convolution
// weights [O, KH, KW, I/groups], linear weights [O, I]. There are no strides: view() and slice() share
// memory, everything else copies. Elements are not synchronised between threads.
//
// Every misuse (a shape that does not fit, the wrong T) throws Error(Exit::internal). An undefined tensor has
// no device or elements: only defined() and describe() may be asked of it.
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
  Tensor() = default;  ///< undefined: defined() is false

  static Tensor empty(Shape, DType = DType::f32, Device = {});  ///< uninitialised
  static Tensor empty_like(const Tensor& t) { return empty(t.shape(), t.dtype(), t.device()); }
  static Tensor zeros(Shape, DType = DType::f32, Device = {});
  static Tensor full(Shape, double value, DType = DType::f32, Device = {});
  /// A copy of `values` (host memory), in row-major order.
  template <class T>
  static Tensor of(std::span<const T> values, Shape shape, Device device = {}) {
    return of_bytes(values.data(), values.size_bytes(), std::move(shape), dtype_of<T>, device);
  }
  /// A tensor over existing memory, from `offset` bytes on (torch::from_blob). Throws unless it fits.
  static Tensor over(Storage, size_t offset, Shape, DType);

  bool defined() const { return static_cast<bool>(storage_); }
  const Shape& shape() const { return shape_; }
  int64_t size(int i) const { return shape_[i]; }
  int rank() const { return shape_.rank(); }
  int64_t numel() const { return numel_; }
  size_t bytes() const { return static_cast<size_t>(numel_) * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const { return storage_.device(); }

  /// The first element. Throws unless T is dtype(). The pointer is the device's: read it only where
  /// device().is_host().
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
  /// The element of a one-element tensor of any dtype, copied from the device if need be.
  double item() const;

  /// The same memory with another shape of as many elements. One extent may be -1: it is computed.
  Tensor view(Shape) const;
  /// The same memory, [begin, end) of the first extent.
  Tensor slice(int64_t begin, int64_t end) const;
  Tensor clone() const;
  /// *this if it is on that device already, else a copy.
  Tensor to(Device) const;
  /// *this if it has that dtype already, else a copy, rounded to nearest even (towards zero to an integer).
  /// Host devices only: on others use ops::cast().
  Tensor to(DType) const;
  /// Copies elements into this tensor's memory, across devices if need be; shapes and dtypes must be equal.
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

/// "f32 [64, 8, 8, 1] on cpu", or "undefined": for messages.
std::string describe(const Tensor&);

}  // namespace trainer
