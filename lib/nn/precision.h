// Mixed precision: which tensors have 16 bits. The weights decide. A layer that multiplies (convolution,
// linear) converts its input to its weight's type, and everything else follows its input; statistics, losses
// and sums are f32.
//
//   level  multiplied weights   other parameters   norms'   value that is trained   loss scale (f16)
//   O0     f32                  f32                f32      f32                     -
//   O1     16 bits              f32                f32      f32                     dynamic
//   O2     16 bits              16 bits            f32      f32                     dynamic
//   O3     16 bits              16 bits            16 bits  rounded to 16 bits      -
//
// The levels are those of NVIDIA's Apex; O1 is also what torch.autocast does, and the default. Under O1 a
// residual stream that begins with an f32 parameter (a position embedding) stays f32.
#pragma once

#include <string>
#include <string_view>

#include "lib/nn/module.h"

namespace trainer::nn {

struct Precision {
  enum class Level : uint8_t { O0, O1, O2, O3 };

  DType compute = DType::f32;  ///< f32, bf16 or f16
  Level level = Level::O1;

  bool mixed() const { return compute != DType::f32; }
  /// What forward passes see a parameter in. Norms keep f32 memory under O3 too, with rounded values.
  DType type_of(const Parameter&) const;
  /// Values are trained in f32 and seen rounded; otherwise they are rounded for good after each update.
  bool keeps_masters() const { return level != Level::O3; }
  bool scales_loss() const { return compute == DType::f16 && level != Level::O3; }
  /// "f32", "bf16 (O1)".
  std::string str() const;
};

/// "" (by the type alone) or O0 to O3; type: auto, f32, bf16 or f16, auto being f16 on CUDA and f32
/// elsewhere. Throws Error(Exit::usage).
Precision parse_precision(bool enabled, std::string_view level, std::string_view type, Device);

/// Gives a model that is not trained (lib/optim/parameters.h does it otherwise) its copies of 16 bits.
void set_precision(Module&, const Precision&);

}  // namespace trainer::nn
