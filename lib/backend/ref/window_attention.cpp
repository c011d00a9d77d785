#include "lib/ops/window_attention.h"

#include "lib/backend/ref/attention_loops.h"

namespace trainer::ref {
namespace {

/// Every window of every map is a sequence.
struct Cut {
  Cut(const Tensor& qkv, const ops::WindowAttentionArgs& args)
      : windows(qkv.shape(), args),
        samples(qkv.size(0) * windows.count()),
        length(windows.length()),
        heads(qkv.size(4)),
        width(qkv.size(5)) {}
  ops::Windows windows;
  int64_t samples, length, heads, width;

  int64_t row(int64_t n, int64_t token, int64_t) const {
    const int64_t map = n / windows.count(), window = n % windows.count();
    return map * windows.height * windows.width + windows.token(window, token);
  }
  double mask(int64_t n, int64_t i, int64_t j) const {
    return windows.mask(windows.mask_kind(n % windows.count()), i, j);
  }
};

void forward(const Tensor& qkv, const Tensor& bias, const ops::WindowAttentionArgs& args, Tensor& y,
             Tensor& lse) {
  const Cut at(qkv, args);
  visit_real(ops::WindowAttention::name, qkv, [&]<class T>(T) {
    AttentionLoops<T, Cut>{at, qkv, bias, args.scale}.forward(y, lse);
  });
}

void backward(const Tensor& dy, const Tensor& qkv, const Tensor& bias, const ops::WindowAttentionArgs& args,
              const Tensor& y, const Tensor& lse, Tensor& dqkv, Tensor& dbias) {
  const Cut at(qkv, args);
  visit_real(ops::WindowAttentionBackward::name, qkv, [&]<class T>(T) {
    AttentionLoops<T, Cut>{at, qkv, bias, args.scale}.backward(dy, y, lse, dqkv, dbias);
  });
}

[[maybe_unused]] const bool added[] = {
    Kernels<ops::WindowAttention>::add(Device::Kind::ref, forward),
    Kernels<ops::WindowAttentionBackward>::add(Device::Kind::ref, backward),
};

}  // namespace
}  // namespace trainer::ref
