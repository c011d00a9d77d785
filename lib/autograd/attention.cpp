#include "lib/autograd/attention.h"

namespace trainer::autograd {

Var attention(const Var& qkv, int64_t heads, const Var& bias, const Tensor& mask,
              const ops::AttentionArgs& args) {
  const Shape& s = qkv.shape();
  check(s.rank() == 3 && heads > 0 && s[2] % (3 * heads) == 0,
        "attention: qkv is {}, expected [N, L, 3 H D] with {} heads", s, heads);
  const Tensor packed = qkv.value().view({s[0], s[1], 3, heads, s[2] / (3 * heads)});
  const ops::AttentionResult out = ops::attention(packed, bias.value(), mask, args);
  return record(out.y.view({s[0], out.y.size(1), s[2] / 3}), {&qkv, &bias},
                [packed, bias = bias.value(), mask, args, out](Grads& g) {
                  Tensor dqkv = Tensor::empty_like(packed);
                  ops::attention_backward(g.dy().view(out.y.shape()), packed, bias, mask, args, out, dqkv,
                                          g[1]);
                  if (g.wants(0)) g.pass(0, dqkv.view({packed.size(0), packed.size(1), -1}));
                });
}

}  // namespace trainer::autograd
