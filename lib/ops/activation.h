// Activations whose slope follows from their value: backward needs the output and nothing else, and batch
// norm can fuse them.
//
// Another one is an enumerator here with its formula, and that formula in lib/backend/ref/activation.h and
// lib/backend/cpu/activation-inl.h. The kernels that apply activations and the tests of those go by this
// list.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace trainer::ops {

/// NaN stays NaN.
enum class Activation : uint8_t {
  none,   ///< y = x
  relu,   ///< y = max(x, 0); slope 1 where y > 0, else 0
  relu6,  ///< y = min(max(x, 0), 6); slope 1 where 0 < y < 6, else 0
};
inline constexpr std::array activations{Activation::none, Activation::relu, Activation::relu6};

/// "relu".
constexpr std::string_view name_of(Activation a) {
  constexpr std::array<std::string_view, activations.size()> names{"none", "relu", "relu6"};
  return names[static_cast<size_t>(a)];
}

/// Calls f(std::integral_constant<Activation, a>()): for kernels that are compiled once per activation.
template <class F>
decltype(auto) visit(Activation a, F&& f) {
  switch (a) {
    case Activation::relu:
      return f(std::integral_constant<Activation, Activation::relu>());
    case Activation::relu6:
      return f(std::integral_constant<Activation, Activation::relu6>());
    case Activation::none:
      break;
  }
  return f(std::integral_constant<Activation, Activation::none>());
}

}  // namespace trainer::ops
