// Attention of one head over one sequence, on one thread: the steps of the forward and the backward pass over matrices
// that stay in the second level of cache.
//
//   head.multiply(q, k);                       // scores() = q k^T
//   head.softmax(scale, lse);                  // of what may have been added to them
//   head.output(v), head.factors()             // y, rows yet to be multiplied
//
//   head.multiply(q, k);
//   head.probabilities(scale, lse);
//   head.dv(dy);
//   head.score_gradients(dy, v, y, scale, dbias);
//   head.dq(k), head.dk(q)
//
// Results are f32 [length, across()], valid until the next step.
#pragma once

#include "lib/backend/cpu/attention_loops.h"
#include "lib/backend/cpu/own_loops.h"
#include "lib/backend/cpu/parallel.h"
#include "lib/tensor/storage.h"

namespace trainer::cpu {

/// Where the products are our own (small_product.h): for f32 always, for bf16 where the processor multiplies pairs of
/// them, but has no matrix units. Elsewhere they are oneDNN's.
void set_attention(OwnLoops);

/// Pairs have to lie in one head: others are computed in f32 copies.
inline bool has_odd_pairs(DType t, int64_t width) { return t == DType::bf16 && width % 2 != 0; }

/// A head's extents. bf16 heads have an even width.
struct HeadShape {
  enum class Pass : uint8_t { forward, backward };
  int64_t length, width;
  DType type;  ///< f32, or bf16 with has_bf16()
  Pass pass;
};

class AttentionHead {
 public:
  explicit AttentionHead(const HeadShape&);
  /// Before threads make theirs.
  static void reserve(const HeadShape&);

  void multiply(const ElementRows& q, const ElementRows& k) { product_of_rows(q, k, scores()); }
  /// [length, along()]
  float* scores() const { return of<float>(at_.scores); }
  int64_t along() const { return at_.along; }

  void softmax(float scale, float* lse);
  const float* output(const ElementRows& v) { return product(v, false); }
  const float* factors() const { return of<float>(at_.row_values); }

  void probabilities(float scale, const float* lse);
  const float* dv(const ElementRows& dy) { return product(dy, true); }
  void score_gradients(const ElementRows& dy, const ElementRows& v, const ElementRows& y, float scale,
                       float* dbias);
  const float* dq(const ElementRows& k) { return product(k, false); }
  const float* dk(const ElementRows& q) { return product(q, true); }
  int64_t across() const { return at_.across; }

 private:
  /// What products read and write: f32 numbers, pairs of bf16, or bf16 numbers in oneDNN's products.
  enum class Words : uint8_t { f32, pairs, bf16 };
  static Words words_for(DType);

  /// Strides, and offsets in the memory in bytes.
  struct Places {
    Places(const HeadShape&, Words);
    int64_t along, across;
    int64_t bytes = 0, zeroed;
    int64_t transposed, summed, result, scores, row_values, gradients, rows, row_pairs;

   private:
    int64_t take(int64_t count, int64_t row_bytes);
  };

  template <class T>
  T* of(int64_t place) const {
    return reinterpret_cast<T*>(memory_.data() + place);
  }
  /// Where s goes for the next products: what is computed in f32, or copies.
  Operand operand(float* s);
  int64_t words(int64_t n) const { return words_ == Words::pairs ? pairs(n) : n; }

  /// y [length, along] = a b^T
  void product_of_rows(const ElementRows& a, const ElementRows& b, float* y);
  /// The result = s b or s^T b, with s the probabilities or the gradients of the scores.
  const float* product(const ElementRows& b, bool transposed);
  /// b for a product that sums over its rows.
  const void* summed(const ElementRows& b) const;
  void multiply(const SmallProduct&, const void* a, const void* b, float* y) const;

  HeadShape shape_;
  Words words_;
  Places at_;
  Storage memory_;
  const void *s_ = nullptr, *s_transposed_ = nullptr;  // operands of the next products
  ThreadScope one_{1};                                 // a product has this thread alone
};

}  // namespace trainer::cpu
