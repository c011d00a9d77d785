#include "lib/tensor/tensor.h"

#include "lib/tensor/kernels.h"

namespace trainer {
namespace {

/// A copy between any two devices is the business of the one that is not the host.
void copy_bytes(void* to, Device to_device, const void* from, Device from_device, size_t bytes) {
  if (bytes == 0) return;
  const Device owner = to_device.is_host() ? from_device : to_device;
  backend(owner.kind).copy(to, to_device, from, from_device, bytes);
}

/// Integers convert to each other directly; everything else through double, which holds every float exactly.
template <class To, class From>
To convert(From v) {
  constexpr bool exact = std::is_integral_v<To> && std::is_integral_v<From>;
  if constexpr (exact) {
    return static_cast<To>(v);
  } else if constexpr (std::is_arithmetic_v<To>) {
    return static_cast<To>(static_cast<std::conditional_t<std::is_arithmetic_v<From>, From, float>>(v));
  } else {
    return To(static_cast<float>(v));
  }
}

}  // namespace

Tensor Tensor::over(Storage storage, size_t offset, Shape shape, DType dtype) {
  Tensor t;
  t.shape_ = shape;
  t.numel_ = shape.numel();
  t.dtype_ = dtype;
  t.storage_ = std::move(storage);
  t.offset_ = offset;
  check(t.storage_ && offset + t.bytes() <= t.storage_.bytes(), "{} {} does not fit into its storage",
        name_of(dtype), shape);
  return t;
}

Tensor Tensor::empty(Shape shape, DType dtype, Device device) {
  int64_t bytes = 0;
  check(!__builtin_mul_overflow(shape.numel(), static_cast<int64_t>(size_of(dtype)), &bytes),
        "a tensor of shape {} does not fit into memory", shape);
  return over(Storage(static_cast<size_t>(bytes), device), 0, shape, dtype);
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
  if (open >= 0) shape[open] = known == 0 ? 0 : numel_ / known;
  check(shape.numel() == numel_, "view: {} has {} elements, {} has {}", shape_, numel_, shape, shape.numel());
  Tensor t = *this;
  t.shape_ = shape;
  return t;
}

Tensor Tensor::slice(int64_t begin, int64_t end) const {
  check(rank() >= 1 && 0 <= begin && begin <= end && end <= shape_[0], "slice [{}, {}) is outside of {}",
        begin, end, shape_);
  const int64_t row = shape_[0] == 0 ? 0 : numel_ / shape_[0];
  Tensor t = *this;
  t.shape_[0] = end - begin;
  t.numel_ = row * (end - begin);
  t.offset_ += static_cast<size_t>(row * begin) * size_of(dtype_);
  return t;
}

Tensor Tensor::clone() const {
  Tensor t = empty(shape_, dtype_, device());
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
  check(device().is_host(), "to({}): conversion on {} goes through ops::cast", name_of(dtype),
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
    fail(Exit::internal, "copy_from: {} into {}", describe(from), describe(*this));
  }
  copy_bytes(raw(), device(), from.raw(), from.device(), bytes());
}

void Tensor::zero() { backend(device().kind).fill_zero(raw(), bytes(), device().index); }

void Tensor::expect(DType dtype) const {
  check(defined(), "data(): there is no tensor");
  check(dtype == dtype_, "data(): the tensor is {}, not {}", name_of(dtype_), name_of(dtype));
}

std::string describe(const Tensor& t) {
  if (!t.defined()) return "no tensor";
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
