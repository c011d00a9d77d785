// The formulas of lib/ops/activation.h.
#pragma once

#include "lib/ops/activation.h"

namespace trainer::ref {

inline double activate(ops::Activation a, double x) {
  switch (a) {
    case ops::Activation::none:
      break;
    case ops::Activation::relu:
      return x <= 0 ? 0 : x;  // NaN stays
    case ops::Activation::relu6:
      return x <= 0 ? 0 : x > 6 ? 6 : x;
  }
  return x;
}

/// dy times the derivative, in terms of the output y.
inline double activation_gradient(ops::Activation a, double dy, double y) {
  switch (a) {
    case ops::Activation::none:
      break;
    case ops::Activation::relu:
      return y > 0 ? dy : 0;
    case ops::Activation::relu6:
      return y > 0 && y < 6 ? dy : 0;
  }
  return dy;
}

}  // namespace trainer::ref
