// Kernel tables: an op is a type, with one kernel per kind of device.
//
//   struct Relu {                                                    // lib/ops declares the op
//     static constexpr std::string_view name = "relu";
//     using Fn = void(const Tensor& x, Tensor& y);
//   };
//   const bool added = Kernels<Relu>::add(Device::Kind::cpu, relu);  // lib/backend/cpu adds its kernel
//   Kernels<Relu>::on(x.device())(x, y);                             // lib/ops dispatches
//
// Kernels are added while a library is loaded; after that on() may be called from any thread.
#pragma once

#include <array>
#include <string_view>
#include <type_traits>
#include <utility>

#include "lib/tensor/device.h"
#include "lib/tensor/profile.h"
#include "lib/tensor/tensor.h"

namespace trainer {

namespace detail {
[[noreturn]] void throw_no_kernel(std::string_view op, Device);
[[noreturn]] void throw_second_kernel(std::string_view op, Device::Kind);

template <class A>
const Tensor* tensor_in(const A& argument) {
  if constexpr (std::is_same_v<A, Tensor>) return &argument;
  return nullptr;
}
template <class Op, class... A>
double flops_of(const A&... arguments) {
  if constexpr (requires { Op::flops(arguments...); }) return Op::flops(arguments...);
  return 0;
}
}  // namespace detail

template <class Op>
class Kernels {
 public:
  using Fn = typename Op::Fn;

  /// Sets the kernel of a kind of device. Setting it twice throws.
  static bool add(Device::Kind kind, Fn* fn) {
    Fn*& slot = slots_[static_cast<size_t>(kind)];
    if (slot != nullptr) detail::throw_second_kernel(Op::name, kind);
    slot = fn;
    return true;
  }
  /// The kernel of a device, to be called. Throws Error naming op and device if there is none: no other device
  /// steps in.
  static auto on(Device device) {
    Fn* fn = slots_[static_cast<size_t>(device.kind)];
    if (fn == nullptr) [[unlikely]]
      detail::throw_no_kernel(Op::name, device);
    return Call{fn, device};
  }
  static bool has(Device::Kind kind) { return slots_[static_cast<size_t>(kind)] != nullptr; }

 private:
  struct Call {
    Fn* fn;
    Device device;
    template <class... A>
    void operator()(A&&... arguments) const {
      if (Profile* profile = Profile::active()) [[unlikely]] {
        const Tensor* const tensors[] = {detail::tensor_in(arguments)...};
        const Profile::Timing timing(*profile, Op::name, device, tensors, detail::flops_of<Op>(arguments...));
        fn(std::forward<A>(arguments)...);
      } else {
        fn(std::forward<A>(arguments)...);
      }
    }
  };

  static inline std::array<Fn*, Device::kinds> slots_{};
};

/// What a kernel calls for a dtype that it does not handle: throws Error naming op, dtype and device.
[[noreturn]] void throw_unsupported(std::string_view op, DType, Device);

}  // namespace trainer
