// Sequences of tokens, [N, L, D]: adding position embeddings and class tokens at the start of a transformer,
// and taking tokens out at its end.
#pragma once

#include <optional>

#include "lib/tensor/kernels.h"

namespace trainer::ops {

/// concat(first, x) + position: x [N, P, D]; `first` [1, F, D] (class and register tokens, the same for every
/// sample) or undefined (F = 0); `position` [1, F + P, D]. The parameters have x's dtype or f32. The result
/// is [N, F + P, D] in `dtype`, or x's for nullopt.
Tensor embed_tokens(const Tensor& x, const Tensor& first, const Tensor& position,
                    std::optional<DType> dtype = {});
/// dx = dy without its first F = `first` tokens, dposition = sum of dy over samples, dfirst = the first F
/// tokens of that sum. Each is written if it is defined, in its own dtype.
void embed_tokens_backward(const Tensor& dy, int64_t first, Tensor& dx, Tensor& dfirst, Tensor& dposition);

/// Tokens [begin, end) of each sequence.
Tensor slice_tokens(const Tensor& x, int64_t begin, int64_t end);
/// dx [N, L, D] = dy at tokens [begin, begin + its length), 0 elsewhere.
void slice_tokens_backward(const Tensor& dy, int64_t begin, Tensor& dx);

// The kernels of a backend (lib/tensor/kernels.h).

struct EmbedTokens {
  static constexpr std::string_view name = "embed_tokens";
  using Fn = void(const Tensor& x, const Tensor& first, const Tensor& position, Tensor& y);
};
struct EmbedTokensBackward {
  static constexpr std::string_view name = "embed_tokens_backward";
  using Fn = void(const Tensor& dy, int64_t first, Tensor& dx, Tensor& dfirst, Tensor& dposition);
};
struct SliceTokens {
  static constexpr std::string_view name = "slice_tokens";
  using Fn = void(const Tensor& x, int64_t begin, Tensor& y);
};
struct SliceTokensBackward {
  static constexpr std::string_view name = "slice_tokens_backward";
  using Fn = void(const Tensor& dy, int64_t begin, Tensor& dx);
};

}  // namespace trainer::ops
