#include "lib/autograd/tokens.h"

namespace trainer::autograd {

Var embed_tokens(const Var& x, const Var& first, const Var& position, std::optional<DType> dtype) {
  const int64_t before = first.defined() ? first.shape()[1] : 0;
  return record(ops::embed_tokens(x.value(), first.value(), position.value(), dtype), {&x, &first, &position},
                [before](Grads& g) { ops::embed_tokens_backward(g.dy(), before, g[0], g[1], g[2]); });
}

Var slice_tokens(const Var& x, int64_t begin, int64_t end) {
  return record(ops::slice_tokens(x.value(), begin, end), {&x},
                [begin](Grads& g) { ops::slice_tokens_backward(g.dy(), begin, g[0]); });
}

}  // namespace trainer::autograd
