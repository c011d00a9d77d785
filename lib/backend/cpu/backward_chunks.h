// The work of attention's backward pass, cut by heads and samples. The bias' gradient is a sum over samples: of
// chunks that depend on the shape alone, which are combined in order.
#pragma once

#include <algorithm>

#include "lib/backend/cpu/parallel.h"
#include "lib/tensor/tensor.h"

namespace trainer::cpu {

class BackwardChunks {
 public:
  /// dbias [heads, length, length], or null.
  BackwardChunks(int64_t samples, int64_t heads, int64_t length, float* dbias)
      : samples_(samples), heads_(heads), square_(length * length), dbias_(dbias) {
    static constexpr int64_t most_chunks = 16;
    chunk_ = dbias == nullptr ? 1 : chunks_of(samples, most_chunks);
    chunks_ = chunks_of(samples, chunk_);
    if (dbias != nullptr)
      partial_ = Storage(static_cast<size_t>(chunks_ * heads_ * square_) * sizeof(float), Device{});
  }

  struct Head {
    int64_t n, h;  ///< the sample and the head in it
  };
  /// Calls step(head, next, sum) for all samples and heads, with the matrix that dbias of the head is added to, or null.
  /// `next` is what will probably follow, and may be past the last sample. make() gives a thread its step; `grain`
  /// samples and heads are worth a thread.
  template <class Make>
  void run(int64_t grain, const Make& make) const {
    parallel_for(chunks_ * heads_, chunks_of(grain, chunk_), [&](int64_t begin, int64_t end) {
      auto step = make();
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first = i / heads_ * chunk_, h = i % heads_;
        float* sum = dbias_ == nullptr ? nullptr : sums() + i * square_;
        if (sum != nullptr) std::fill_n(sum, square_, 0.0F);
        const int64_t last = std::min(samples_, first + chunk_) - 1;
        for (int64_t n = first; n <= last; ++n) {
          step(Head{n, h}, n < last ? Head{n + 1, h} : Head{(i + 1) / heads_ * chunk_, (i + 1) % heads_},
               sum);
        }
      }
    });
    if (dbias_ != nullptr) combine();
  }

 private:
  float* sums() const { return reinterpret_cast<float*>(partial_.data()); }
  void combine() const {
    const int64_t all = heads_ * square_;
    parallel_for(all, elementwise_grain / chunks_, [&](int64_t begin, int64_t end) {
      for (int64_t e = begin; e < end; ++e) {
        double sum = 0;
        for (int64_t c = 0; c < chunks_; ++c) sum += sums()[c * all + e];
        dbias_[e] = static_cast<float>(sum);
      }
    });
  }
  int64_t samples_, heads_, square_, chunk_, chunks_;
  float* dbias_;
  Storage partial_;
};

}  // namespace trainer::cpu
