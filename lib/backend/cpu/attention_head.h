// Attention of one head over one sequence, on one thread, some queries at a time: their scores stay in the first level
// of cache, and what is kept of a whole head in the second.
//
//   head.begin_forward(k, v);
//   for (int64_t i = 0; i < head.blocks(); ++i) head.forward(head.block(i), q, terms, lse, y);
//
//   head.begin_backward(k, v);
//   for (int64_t i = 0; i < head.blocks(); ++i)
//     head.backward(head.block(i), {q, y, dy}, terms, lse, dbias, dq);
//   head.end_backward(q, dy, dk, dv);
//
// Matrices have a row of `width` elements for each query (q, y and their gradients) or token (k, v and theirs), dbias
// `length` elements for each query; lse is a number for each query, which forward() writes.
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
  int64_t queries, length, width;  ///< queries <= length
  DType type;                      ///< f32, or bf16 with has_bf16()
  Pass pass;
};

/// Scores are scale q k^T + bias + mask, with matrices [queries, length] or null.
struct ScoreTerms {
  float scale;
  const float* bias = nullptr;
  const float* mask = nullptr;
};

/// Consecutive queries.
struct Queries {
  int64_t begin, end;
  int64_t count() const { return end - begin; }
};

class AttentionHead {
 public:
  explicit AttentionHead(const HeadShape&);
  /// Before threads make theirs.
  static void reserve(const HeadShape&);

  /// The queries of a head are taken in so many blocks.
  int64_t blocks() const { return at_.blocks; }
  Queries block(int64_t i) const;

  void begin_forward(const ElementRows& k, const ElementRows& v);
  void forward(Queries, const ElementRows& q, const ScoreTerms&, float* lse, const ElementRows& y);

  void begin_backward(const ElementRows& k, const ElementRows& v);
  struct OfQueries {
    ElementRows q, y, dy;
  };
  /// Adds to dbias, unless it is null.
  void backward(Queries, const OfQueries&, const ScoreTerms&, const float* lse, float* dbias,
                const ElementRows& dq);
  void end_backward(const ElementRows& q, const ElementRows& dy, const ElementRows& dk,
                    const ElementRows& dv);

 private:
  /// What products read and write: f32 numbers, pairs of bf16, or bf16 numbers in oneDNN's products.
  enum class Words : uint8_t { f32, pairs, bf16 };
  static Words words_for(DType);

  /// A matrix of scores, [queries, along]: in f32 those of a block, or of the whole head where products sum over its
  /// queries. The others are copies for products, in bf16: rows of a block, and pairs of rows of the whole head.
  struct Scores {
    int64_t floats, rows, row_pairs;
  };
  /// Strides, and offsets in the memory in bytes.
  struct Places {
    Places(const HeadShape&, Words);
    int64_t along, across;
    int64_t blocks;
    bool whole;  ///< f32 scores of the whole head
    int64_t bytes = 0, zeroed;
    int64_t keys, values, summed, left, result, row_values;
    Scores p, gradients;

   private:
    int64_t take(int64_t count, int64_t row_bytes);
    Scores take_scores(const HeadShape&, Words, int64_t queries);
  };

  template <class T>
  T* of(int64_t place) const {
    return reinterpret_cast<T*>(memory_.data() + place);
  }
  float* floats(const Scores& s, Queries t) const {
    return of<float>(s.floats) + (at_.whole ? t.begin * at_.along : 0);
  }
  int64_t words(int64_t n) const { return words_ == Words::pairs ? pairs(n) : n; }

  /// Elements of the tensors' dtype.
  Elements elements(int64_t place) const;

  /// Adds the terms to a block's scores; returns the scale that is left to apply.
  float add(const ScoreTerms&, Queries, float* s) const;
  /// Writes b [length, width] to a place for products a b^T, and b [rows, width] for products that sum over its rows.
  void put_transposed(const ElementRows& b, int64_t place);
  void put_summed(const ElementRows& b, int64_t rows);
  /// s [queries, along] = a b^T
  void product_of_rows(Queries, const ElementRows& a, int64_t b, float* s);
  /// The block's scores, in f32, as products read them.
  void round(const Scores&, Queries);
  /// y = s b, of a block, with what was put last. Row r is multiplied by factors[r] if there are factors.
  void product(const Scores& s, Queries, const float* factors, const ElementRows& y);
  /// y = s^T b
  void product_of_transposed(const Scores& s, const ElementRows& y);

  HeadShape shape_;
  Words words_;
  Places at_;
  Storage memory_;
  ThreadScope one_{1};  // a product has this thread alone
};

}  // namespace trainer::cpu
