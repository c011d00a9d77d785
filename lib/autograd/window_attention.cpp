#include "lib/autograd/window_attention.h"

namespace trainer::autograd {

Var window_attention(const Var& qkv, int64_t heads, const Var& bias, const ops::WindowAttentionArgs& args) {
  const Shape& s = qkv.shape();
  check(s.rank() == 4 && heads > 0 && s[3] % (3 * heads) == 0,
        "window_attention: qkv is {}, expected [N, H, W, 3 heads D] with {} heads", s, heads);
  const Tensor packed = qkv.value().view({s[0], s[1], s[2], 3, heads, s[3] / (3 * heads)});
  const ops::WindowAttentionResult out = ops::window_attention(packed, bias.value(), args);
  return record(out.y.view(s.with(3, s[3] / 3)), {&qkv, &bias},
                [packed, bias = bias.value(), args, out, shape = s](Grads& g) {
                  Tensor dqkv = Tensor::empty_like(packed);
                  ops::window_attention_backward(g.dy().view(out.y.shape()), packed, bias, args, out, dqkv,
                                                 g[1]);
                  if (g.wants(0)) g.pass(0, dqkv.view(shape));
                });
}

Var relative_position_bias(const Var& table, ops::Pair window) {
  return record(ops::relative_position_bias(table.value(), window), {&table},
                [window](Grads& g) { ops::relative_position_bias_backward(g.dy(), window, g[0]); });
}

}  // namespace trainer::autograd
