#include "lib/tensor/constant_weights.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "lib/tensor/rehearsal.h"

namespace trainer {
namespace {

struct Kept {
  const std::byte* source;
  bool rehearsed;
  Derivation how;
  Storage copy;
};

constinit thread_local ConstantWeights* innermost = nullptr;
constinit thread_local int64_t made = 0;

/// Of all scopes, the innermost one's last. A model has some hundred weights: to look through them takes less than a
/// microsecond, and a vector keeps its memory from scope to scope.
std::vector<Kept>& kept() {
  thread_local std::vector<Kept> all;
  return all;
}

}  // namespace

ConstantWeights::ConstantWeights(std::span<const Storage> memory)
    : memory_(memory), outer_(std::exchange(innermost, this)), first_(kept().size()) {}

ConstantWeights::~ConstantWeights() {
  std::vector<Kept>& all = kept();
  all.erase(all.begin() + static_cast<std::ptrdiff_t>(first_), all.end());
  innermost = outer_;
}

void ConstantWeights::changed() {
  kept().clear();
  for (ConstantWeights* scope = innermost; scope != nullptr; scope = scope->outer_) scope->first_ = 0;
}

int64_t ConstantWeights::copies_made() { return made; }

void ConstantWeights::count_copy() { ++made; }

const Storage* ConstantWeights::find(const Tensor& source, const Derivation& how) {
  if (innermost == nullptr) return nullptr;
  for (const Kept& k : kept()) {
    if (k.source == source.raw() && k.how == how && k.rehearsed == Rehearsal::active()) return &k.copy;
  }
  return nullptr;
}

bool ConstantWeights::keeps(const Tensor& source) {
  for (const ConstantWeights* scope = innermost; scope != nullptr; scope = scope->outer_) {
    if (std::ranges::any_of(scope->memory_, [&](const Storage& s) { return s.same(source.storage()); }))
      return true;
  }
  return false;
}

void ConstantWeights::add(const Tensor& source, const Derivation& how, const Storage& copy) {
  count_copy();
  if (keeps(source)) kept().push_back({source.raw(), Rehearsal::active(), how, copy});
}

}  // namespace trainer
