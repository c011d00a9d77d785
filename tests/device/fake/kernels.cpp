// The fake device's kernels: those of ref, over the memory behind the device's addresses. A new op is a line
// at the end.
#include "lib/base/error.h"
#include "lib/ops/adam.h"
#include "lib/ops/attention.h"
#include "lib/ops/conv.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/flat.h"
#include "lib/ops/gelu.h"
#include "lib/ops/layer_norm.h"
#include "lib/ops/layerwise.h"
#include "lib/ops/layout.h"
#include "lib/ops/loss.h"
#include "lib/ops/matmul.h"
#include "lib/ops/norm.h"
#include "lib/ops/pool.h"
#include "lib/ops/relative_position.h"
#include "lib/ops/tokens.h"
#include "lib/ops/window_attention.h"
#include "tests/device/fake/memory.h"

namespace trainer::fake {
namespace {

constexpr Device ref{Device::Kind::ref};

/// The same tensor for a kernel of ref.
Tensor for_ref(const Tensor& t) {
  if (!t.defined()) return t;
  const Storage& s = t.storage();
  return Tensor::over(Storage(memory_at(s.data()), s.bytes(), ref, nullptr), t.offset(), t.shape(),
                      t.dtype());
}

/// An argument of a kernel, as ref gets it.
template <class A>
struct Argument {
  A value;
  operator A() const { return value; }
};
template <>
struct Argument<const Tensor&> {
  explicit Argument(const Tensor& t) : value(for_ref(t)) {}
  operator const Tensor&() const { return value; }
  Tensor value;
};
template <>
struct Argument<Tensor&> {
  explicit Argument(const Tensor& t) : value(for_ref(t)) {}
  operator Tensor&() { return value; }
  Tensor value;
};

/// All tensors of a call lie on one device, and that is this one.
struct OneDevice {
  std::string_view op;
  int index = -1;
  template <class A>
  void see(const A& argument) {
    if constexpr (std::is_same_v<A, Tensor>) {
      if (!argument.defined()) return;
      const Device device = argument.device();
      check(device.kind == Device::Kind::cuda && (index < 0 || index == device.index),
            "{}: a kernel of cuda:{} gets {}", op, std::max(index, 0), describe(argument));
      index = device.index;
    }
  }
};

template <class Op, class Fn = typename Op::Fn>
struct Delegate;
template <class Op, class... Args>
struct Delegate<Op, void(Args...)> {
  static void run(Args... args) {
    OneDevice device{Op::name};
    (device.see(args), ...);
    Kernels<Op>::on(ref)(Argument<Args>{args}...);
  }
};

template <class Op>
void delegate() {
  Kernels<Op>::add(Device::Kind::cuda, Delegate<Op>::run);
}

[[maybe_unused]] const bool added = [] {
  delegate<ops::Conv2d>();
  delegate<ops::Conv2dBackwardData>();
  delegate<ops::Conv2dBackwardWeight>();
  delegate<ops::Linear>();
  delegate<ops::LinearGelu>();
  delegate<ops::LinearBackwardData>();
  delegate<ops::LinearBackwardWeight>();
  delegate<ops::BiasBackward>();
  delegate<ops::BatchNormStatistics>();
  delegate<ops::BatchNormApply>();
  delegate<ops::BatchNormBackwardReduce>();
  delegate<ops::BatchNormBackwardApply>();
  delegate<ops::BatchNormUpdate>();
  delegate<ops::BatchNormSums>();
  delegate<ops::BatchNormMoments>();
  delegate<ops::MaxPool2d>();
  delegate<ops::MaxPool2dBackward>();
  delegate<ops::AvgPool2d>();
  delegate<ops::AvgPool2dBackward>();
  delegate<ops::GlobalAvgPool>();
  delegate<ops::GlobalAvgPoolBackward>();
  delegate<ops::Activate>();
  delegate<ops::ActivateBackward>();
  delegate<ops::Add>();
  delegate<ops::Scale>();
  delegate<ops::Cast>();
  delegate<ops::Dropout>();
  delegate<ops::SoftmaxCrossEntropy>();
  delegate<ops::SoftmaxCrossEntropyBackward>();
  delegate<ops::Mse>();
  delegate<ops::MseBackward>();
  delegate<ops::SwapAxes>();
  delegate<ops::SgdStep>();
  delegate<ops::AdamWStep>();
  delegate<ops::ClipMultiplier>();
  delegate<ops::Gelu>();
  delegate<ops::GeluBackward>();
  delegate<ops::LayerNorm>();
  delegate<ops::LayerNormBackward>();
  delegate<ops::Attention>();
  delegate<ops::AttentionBackward>();
  delegate<ops::WindowAttention>();
  delegate<ops::WindowAttentionBackward>();
  delegate<ops::RelativePositionBias>();
  delegate<ops::RelativePositionBiasBackward>();
  delegate<ops::EmbedTokens>();
  delegate<ops::EmbedTokensBackward>();
  delegate<ops::SliceTokens>();
  delegate<ops::SliceTokensBackward>();
  delegate<ops::SegmentSquares>();
  delegate<ops::AdamDirection>();
  delegate<ops::TrustRatio>();
  delegate<ops::ScaledStep>();
  return true;
}();

}  // namespace
}  // namespace trainer::fake
