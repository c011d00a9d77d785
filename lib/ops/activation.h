// Activations whose derivative is a function of their output: backward keeps the output only, and batch norm
// can fuse them. (GELU is not one of them: lib/ops/gelu.h.)
//
// To add one: an enumerator with its formula here, and the formula in lib/backend/ref/activation.h and
// lib/backend/cpu/activation-inl.h. The kernels that apply activations, and their tests, iterate over
// `activations`.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace trainer::ops {

/// The formulas, and dy/dx in terms of y. NaN stays NaN.
enum class Activation : uint8_t {
  none,   ///< y = x
  relu,   ///< y = max(x, 0); dy/dx = 1 where y > 0, else 0
  relu6,  ///< y = min(max(x, 0), 6); dy/dx = 1 where 0 < y < 6, else 0
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
