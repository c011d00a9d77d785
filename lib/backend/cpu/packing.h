// Weights between our layout and the one that a oneDNN primitive prefers.
#pragma once

#include <optional>

#include "lib/backend/cpu/onednn.h"

namespace trainer::cpu {

/// A layout conversion of weights, or none where the layouts agree.
class Packing {
 public:
  Packing(const dnnl::memory::desc& from, const dnnl::memory::desc& to, const dnnl::memory::desc& packed)
      : bytes_(packed.get_size()) {
    if (from != to) reorder_ = make_reorder(from, to);
  }
  bool needed() const { return reorder_.has_value(); }
  Storage buffer() const { return Storage(bytes_, Device{}); }
  void run(const void* from, void* to) { reorder_->run({from, to}); }

 private:
  std::optional<Primitive> reorder_;
  size_t bytes_;
};

/// Weights in a primitive's layout: a copy in `storage`, or the tensor itself.
struct PackedWeights {
  Storage storage;
  const void* data;
};
inline PackedWeights pack(const Tensor& w, Packing& packing) {
  if (!packing.needed()) return {{}, w.raw()};
  Storage s = packing.buffer();
  packing.run(w.raw(), s.data());
  const void* data = s.data();
  return {std::move(s), data};
}

}  // namespace trainer::cpu
