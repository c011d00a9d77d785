// Weights between our layout and the one that a oneDNN primitive prefers.
#pragma once

#include <optional>

#include "lib/backend/cpu/onednn.h"
#include "lib/tensor/constant_weights.h"

namespace trainer::cpu {

/// A layout conversion of weights, or none where the layouts agree. Made by the thread that first runs it,
/// for as many threads as run it.
class Packing {
 public:
  Packing(const dnnl::memory::desc& from, const dnnl::memory::desc& to, const dnnl::memory::desc& packed)
      : from_(from), to_(to), bytes_(packed.get_size()), needed_(from != to) {}
  bool needed() const { return needed_; }
  size_t bytes() const { return bytes_; }  ///< of packed weights
  Storage buffer() const { return Storage(bytes_, Device{}); }
  void run(const void* from, void* to) {
    if (!reorder_) reorder_ = make_reorder(from_, to_);
    reorder_->run({from, to});
  }
  /// The same for all that convert between these two layouts, whatever primitive they are for.
  Derivation derivation() {
    if (!number_) number_ = number_of(from_, to_);
    return {.name = "oneDNN", .numbers = {*number_}};
  }

 private:
  static int64_t number_of(const dnnl::memory::desc& from, const dnnl::memory::desc& to);
  dnnl::memory::desc from_, to_;
  size_t bytes_;
  bool needed_;
  std::optional<Primitive> reorder_;
  std::optional<int64_t> number_;
};

/// Weights in a primitive's layout: a copy in `storage`, or the tensor itself.
struct PackedWeights {
  Storage storage;
  const void* data;
};
inline PackedWeights pack(const Tensor& w, Packing& packing) {
  if (!packing.needed()) return {{}, w.raw()};
  Storage s = ConstantWeights::derived(w, packing.derivation(), packing.bytes(),
                                       [&](std::byte* to) { packing.run(w.raw(), to); });
  const void* data = s.data();
  return {std::move(s), data};
}

}  // namespace trainer::cpu
