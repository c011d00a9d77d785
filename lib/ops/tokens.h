// Sequences of tokens [N, L, D]: where they come from and what is taken out of them.
#pragma once

#include <optional>

#include "lib/tensor/kernels.h"

namespace trainer::ops {

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

/// x [N, P, D] behind `first` [1, F, D] (class and register tokens), the same for every sample, or none; plus
/// `position` [1, F + P, D]. Parameters have x's dtype or f32. Gives [N, F + P, D] of `dtype`; none: x's.
Tensor embed_tokens(const Tensor& x, const Tensor& first, const Tensor& position,
                    std::optional<DType> dtype = {});
/// dx = dy without its first F = `first` tokens, dposition = sum of dy over samples, dfirst = its first F
/// tokens. Each is written if it is defined, in its own dtype.
void embed_tokens_backward(const Tensor& dy, int64_t first, Tensor& dx, Tensor& dfirst, Tensor& dposition);

/// Tokens [begin, end) of each sequence.
Tensor slice_tokens(const Tensor& x, int64_t begin, int64_t end);
/// dx [N, L, D] = dy at [begin, ...), 0 elsewhere.
void slice_tokens_backward(const Tensor& dy, int64_t begin, Tensor& dx);

}  // namespace trainer::ops
