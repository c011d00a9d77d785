#include "lib/tensor/tensor.h"

#include "lib/tensor/kernels.h"

namespace trainer {
namespace {

/// Copies between any two devices; the backend of the one that is not the host does it.
void copy_bytes(void* to, Device to_device, const void* from, Device from_device, size_t bytes) {
  if (bytes == 0) return;
  const Device owner = to_device.is_host() ? from_device : to_device;
  backend(owner.kind).copy(to, to_device, from, from_device, bytes);
}

/// As static_cast does it; to and from f16 and bf16 by way of float.
template <class To, class From>
To convert(From v) {
  if constexpr (std::is_arithmetic_v<To> && std::is_arithmetic_v<From>) {
    return static_cast<To>(v);
  } else if constexpr (std::is_arithmetic_v<To>) {
    return static_cast<To>(static_cast<float>(v));
  } else {
    return To(static_cast<float>(v));
  }
}

/// Bytes of a tensor. Throws if they do not fit into 64 bits.
size_t bytes_of(const Shape& shape, DType dtype) {
  int64_t bytes = 0;
  check(!__builtin_mul_overflow(shape.numel(), static_cast<int64_t>(size_of(dtype)), &bytes),
        "a tensor of shape {} does not fit into memory", shape);
  return static_cast<size_t>(bytes);
}

}  // namespace

Tensor Tensor::over(Storage storage, size_t offset, Shape shape, DType dtype) {
  const size_t bytes = bytes_of(shape, dtype), room = storage ? storage.bytes() : 0;
  check(storage && offset <= room && bytes <= room - offset,
        "{} {} at byte {} does not fit into a storage of {} bytes", name_of(dtype), shape, offset, room);
  Tensor t;
  t.shape_ = shape;
  t.numel_ = shape.numel();
  t.dtype_ = dtype;
  t.storage_ = std::move(storage);
  t.offset_ = offset;
  return t;
}

Tensor Tensor::empty(Shape shape, DType dtype, Device device) {
  return over(Storage(bytes_of(shape, dtype), device), 0, shape, dtype);
}

Tensor Tensor::zeros(Shape shape, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  t.zero();
  return t;
}

Tensor Tensor::full(Shape shape, double value, DType dtype, Device device) {
  Tensor host = empty(shape, dtype, device.is_host() ? device : Device{});
  visit_dtype(dtype, [&]<class T>(T) {
    for (T& v : host.span<T>()) v = convert<T>(value);
  });
  return host.to(device);
}

Tensor Tensor::of_bytes(const void* values, size_t bytes, Shape shape, DType dtype, Device device) {
  Tensor t = empty(shape, dtype, device);
  check(bytes == t.bytes(), "{} bytes do not fill a {} tensor of shape {}", bytes, name_of(dtype), shape);
  copy_bytes(t.raw(), device, values, Device{}, bytes);
  return t;
}

double Tensor::item() const {
  check(numel_ == 1, "item() needs a tensor of one element, not {}", shape_);
  const Tensor host = to(Device{});
  return visit_dtype(dtype_, [&]<class T>(T) { return convert<double>(host.data<T>()[0]); });
}

Tensor Tensor::view(Shape shape) const {
  int64_t known = 1;
  int open = -1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == -1) {
      check(open < 0, "view to {}: only one extent may be -1", shape);
      open = i;
    } else {
      known *= shape[i];
    }
  }
  if (open >= 0) {
    check(known == 0 ? numel_ == 0 : numel_ % known == 0, "view: {} does not divide into {}", shape_, shape);
    shape[open] = known == 0 ? 0 : numel_ / known;
  }
  check(shape.numel() == numel_, "view: {} has {} elements, {} has {}", shape_, numel_, shape, shape.numel());
  Tensor t = *this;
  t.shape_ = shape;
  return t;
}

Tensor Tensor::slice(int64_t begin, int64_t end) const {
  check(rank() >= 1 && 0 <= begin && begin <= end && end <= shape_[0],
        "slice: [{}, {}) is outside of the first extent of {}", begin, end, shape_);
  const int64_t row = shape_[0] == 0 ? 0 : numel_ / shape_[0];
  Tensor t = *this;
  t.shape_[0] = end - begin;
  t.numel_ = row * (end - begin);
  t.offset_ += static_cast<size_t>(row * begin) * size_of(dtype_);
  return t;
}

Tensor Tensor::clone() const {
  Tensor t = empty_like(*this);
  t.copy_from(*this);
  return t;
}

Tensor Tensor::to(Device device) const {
  if (this->device() == device) return *this;
  Tensor t = empty(shape_, dtype_, device);
  t.copy_from(*this);
  return t;
}

Tensor Tensor::to(DType dtype) const {
  if (dtype_ == dtype) return *this;
  check(device().is_host(), "to({}): the tensor is on {}; use ops::cast there", name_of(dtype),
        device().str());
  Tensor t = empty(shape_, dtype, device());
  visit_dtype(dtype_, [&]<class From>(From) {
    visit_dtype(dtype, [&]<class To>(To) {
      const From* from = data<From>();
      To* to = t.data<To>();
      for (int64_t i = 0; i < numel_; ++i) to[i] = convert<To>(from[i]);
    });
  });
  return t;
}

void Tensor::copy_from(const Tensor& from) {
  if (shape_ != from.shape_ || dtype_ != from.dtype_) {
    fail(Exit::internal, "copy_from: {} cannot be copied into {}", describe(from), describe(*this));
  }
  copy_bytes(raw(), device(), from.raw(), from.device(), bytes());
}

void Tensor::zero() { backend(device().kind).fill_zero(raw(), bytes(), device().index); }

void Tensor::expect(DType dtype) const {
  check(defined(), "data(): the tensor is undefined");
  check(dtype == dtype_, "data(): the tensor is {}, not {}", name_of(dtype_), name_of(dtype));
}

std::string describe(const Tensor& t) {
  if (!t.defined()) return "undefined";
  return fmt::format("{} {} on {}", name_of(t.dtype()), t.shape(), t.device().str());
}

void detail::throw_no_kernel(std::string_view op, Device device) {
  fail(Exit::internal, "{}: no kernel for device {}", op, device.str());
}
void detail::throw_second_kernel(std::string_view op, Device::Kind kind) {
  fail(Exit::internal, "{}: two kernels for device {}", op, name_of(kind));
}
void throw_unsupported(std::string_view op, DType dtype, Device device) {
  fail(Exit::internal, "{}: no {} kernel on {}", op, name_of(dtype), device.str());
}

}  // namespace trainer
