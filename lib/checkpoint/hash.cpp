#include "lib/checkpoint/hash.h"

#include <xxhash.h>

#include "lib/base/error.h"

namespace trainer::checkpoint {

Hasher::Hasher() : state_(XXH3_createState()) {
  check(state_ != nullptr, "no memory for a checksum");
  XXH3_128bits_reset(state_.get());
}

void Hasher::Free::operator()(XXH3_state_s* state) const { XXH3_freeState(state); }

void Hasher::update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
}

std::string Hasher::digest() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

}  // namespace trainer::checkpoint
