// Kernels for more types than they have loops for: 16-bit tensors are converted to f32 and back around them.
// Slow and correct, which is what f16 is on a CPU.
#pragma once

#include <algorithm>
#include <exception>
#include <iterator>
#include <type_traits>

#include "lib/ops/elementwise.h"

namespace trainer::cpu {

/// Types that a kernel takes as they are; the others of f16 and bf16 are converted.
using Native = bool(DType);
inline bool f32_alone(DType t) { return t != DType::f16 && t != DType::bf16; }
inline bool f32_and_bf16(DType t) { return t != DType::f16; }

/// An argument of a kernel while it runs: itself, or an f32 tensor instead. What the kernel reads is converted before, what
/// it writes (all of it; it reads nothing of a Tensor&) afterwards.
template <class A>
struct Converted {
  Converted(A argument, Native*) : value(argument) {}
  A value;
};

template <>
struct Converted<const Tensor&> {
  Converted(const Tensor& t, Native* native)
      : value(t.defined() && !native(t.dtype()) ? ops::cast(t, DType::f32) : t) {}
  Tensor value;
};

template <>
struct Converted<Tensor&> {
  Converted(Tensor& t, Native* native)
      : target(t),
        converted(t.defined() && !native(t.dtype())),
        value(converted ? Tensor::empty(t.shape(), DType::f32, t.device()) : t) {}
  /// Writes the result, unless the kernel threw.
  ~Converted() noexcept(false) {
    if (converted && std::uncaught_exceptions() == exceptions)
      target.copy_from(ops::cast(value, target.dtype()));
  }
  Tensor& target;
  bool converted;
  Tensor value;
  int exceptions = std::uncaught_exceptions();
};

namespace detail {

/// Throws for f64, which only ref computes in.
template <class Op, class A>
bool is_native(const A& argument, Native* native) {
  if constexpr (std::is_same_v<A, Tensor>) {
    if (!argument.defined()) return true;
    if (argument.dtype() == DType::f64) throw_unsupported(Op::name, DType::f64, argument.device());
    return native(argument.dtype());
  } else {
    return true;
  }
}

template <class Op, class Fn, Fn* kernel, Native* native>
struct AnyFloat;
template <class Op, class... A, void (*kernel)(A...), Native* native>
struct AnyFloat<Op, void(A...), kernel, native> {
  static void run(A... arguments) {
    const bool native_arguments[] = {is_native<Op>(arguments, native)...};
    if (std::ranges::find(native_arguments, false) == std::end(native_arguments)) return kernel(arguments...);
    [](Converted<A>... converted) { kernel(converted.value...); }(Converted<A>(arguments, native)...);
  }
};

}  // namespace detail

/// Runs a kernel that knows f32 alone.
template <class Op, typename Op::Fn* kernel, class... A>
void in_f32(A&&... arguments) {
  detail::AnyFloat<Op, typename Op::Fn, kernel, f32_alone>::run(arguments...);
}

/// Fills the CPU's slot of an op with a kernel that handles the `native` types.
template <class Op, typename Op::Fn* kernel, Native* native>
bool add_kernel() {
  return Kernels<Op>::add(Device::Kind::cpu, detail::AnyFloat<Op, typename Op::Fn, kernel, native>::run);
}

}  // namespace trainer::cpu
