// Attention of one head over one sequence, on one thread: what the kernels of attention.cpp and
// window_attention.cpp share. They differ in where the rows of q, k, v and y lie.
//
// The matrix of scores stays in the second level of cache between oneDNN's products.
#pragma once

#include <algorithm>

#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/parallel.h"
#include "lib/tensor/tensor.h"

namespace trainer::cpu {

/// The matrices [length, width] of a head.
struct Head {
  int64_t length, width;
  int64_t packed_stride;  ///< elements from a token to the next in q, k, v and their gradients
  int64_t plain_stride;   ///< the same in y and dy
  DType type;

  /// Of rows of scores.
  int64_t stride() const { return (length + 15) / 16 * 16; }
  /// Heads that are worth a thread of their own.
  int64_t grain() const { return 1 + 1'000'000 / std::max<int64_t>(1, 4 * length * length * width); }
};

/// q, k and v of a head, or their gradients.
struct Packed {
  Elements q, k, v;
};

/// scores = scale q k^T + bias + mask; bias and mask [length, length], or null.
struct Terms {
  float scale;
  const float *bias, *mask;
};

/// A thread's matrices of scores: `count` of f32, and one of the activations' dtype for the products to read,
/// which is the last f32 one where the dtypes agree.
class ScoreSpace {
 public:
  ScoreSpace(const Head&, int64_t count);
  float* f32(int64_t i) const { return reinterpret_cast<float*>(f32_.data()) + i * size_; }
  /// In place of f32 matrix i.
  Elements operand(int64_t i) const;

 private:
  int64_t size_;
  Storage f32_, narrow_;
  DType type_;
};

/// Lives on the thread that runs it, one at a time.
class HeadForward {
 public:
  explicit HeadForward(const Head&);
  /// Writes y [length, width] and lse [length].
  void run(const Packed&, const Terms&, const Elements& y, float* lse) const;

 private:
  ThreadScope one_{1};  // a product has this thread alone
  Head head_;
  ScoreSpace space_;
  struct Plan;
  Plan& plan_;
};

/// The same for backward.
class HeadBackward {
 public:
  explicit HeadBackward(const Head&);
  /// Writes the gradients of q, k and v, and adds to dbias [length, length], unless that is null.
  void run(const Packed&, const Terms&, const Elements& y, const Elements& dy, const float* lse,
           const Packed& gradients, float* dbias) const;

 private:
  ThreadScope one_{1};
  Head head_;
  ScoreSpace space_;
  struct Plan;
  Plan& plan_;
};

/// The work of a backward pass, cut by heads and samples. The bias' gradient is a sum over samples: of chunks
/// that depend on the shape alone, which are combined in order.
class BackwardChunks {
 public:
  /// dbias [heads, length, length], or null.
  BackwardChunks(int64_t samples, int64_t heads, int64_t length, float* dbias);

  /// Calls step(n, h, sum) for all samples and heads, with the matrix that dbias of head h is added to or null.
  /// make() gives a thread its step.
  template <class Make>
  void run(int64_t grain, const Make& make) const {
    parallel_for(chunks_ * heads_, chunks_of(grain, chunk_), [&](int64_t begin, int64_t end) {
      const auto step = make();
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first = i / heads_ * chunk_, h = i % heads_;
        float* sum = begin_sum(i);
        for (int64_t n = first; n < std::min(samples_, first + chunk_); ++n) step(n, h, sum);
      }
    });
    combine();
  }

 private:
  float* begin_sum(int64_t i) const;
  void combine() const;
  int64_t samples_, heads_, square_, chunk_, chunks_;
  float* dbias_;
  Storage partial_;
};

}  // namespace trainer::cpu
