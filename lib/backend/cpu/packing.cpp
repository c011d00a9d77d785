#include "lib/backend/cpu/packing.h"

#include <algorithm>
#include <mutex>
#include <utility>

namespace trainer::cpu {

/// A pair of layouts' place among all that have been asked for: no more than there are weights of different shapes.
int64_t Packing::number_of(const dnnl::memory::desc& from, const dnnl::memory::desc& to) {
  static std::mutex mutex;
  static auto* all = new std::vector<std::pair<dnnl::memory::desc, dnnl::memory::desc>>;  // never destroyed
  const std::lock_guard lock(mutex);
  const auto found =
      std::ranges::find_if(*all, [&](const auto& p) { return p.first == from && p.second == to; });
  if (found == all->end()) {
    all->emplace_back(from, to);
    return std::ssize(*all) - 1;
  }
  return found - all->begin();
}

}  // namespace trainer::cpu
