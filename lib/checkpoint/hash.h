// XXH3-128 (https://xxhash.com), the checksum of a checkpoint's files: finds what disks and copies break, at
// memory speed; no protection against intent.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

struct XXH3_state_s;

namespace trainer::checkpoint {

class Hasher {
 public:
  Hasher();

  void update(std::span<const std::byte>);
  /// Of all bytes so far, as xxhsum prints it: 32 hexadecimal digits.
  std::string digest() const;

 private:
  struct Free {
    void operator()(XXH3_state_s*) const;
  };
  std::unique_ptr<XXH3_state_s, Free> state_;
};

}  // namespace trainer::checkpoint
