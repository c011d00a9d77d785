// Primitives by what they were made for. oneDNN compiles code when a primitive is made: once per shape, not
// once per call.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <unordered_map>

#include "lib/base/error.h"

namespace trainer::cpu {

/// Everything a primitive's descriptor is made of, as numbers.
struct Key {
  static constexpr size_t size = 24;
  std::array<int64_t, size> numbers{};  // unused ones stay 0

  Key(std::initializer_list<int64_t> values) {
    check(values.size() <= size, "a primitive's key has {} numbers at most, not {}", size, values.size());
    std::copy(values.begin(), values.end(), numbers.begin());
  }
  bool operator==(const Key&) const = default;
};

struct KeyHash {
  size_t operator()(const Key& key) const noexcept {
    uint64_t h = 0xCBF29CE484222325ULL;
    for (const int64_t v : key.numbers) {
      h = (h ^ static_cast<uint64_t>(v)) * 0x9E3779B97F4A7C15ULL;
      h ^= h >> 29;
    }
    return h;
  }
};

namespace detail {
template <class T>
std::unordered_map<Key, std::unique_ptr<T>, KeyHash>& cache_of() {
  thread_local std::unordered_map<Key, std::unique_ptr<T>, KeyHash> cache;
  return cache;
}
}  // namespace detail

/// The T of this key, made by `make()` on first use; later calls allocate nothing. T is a struct of
/// primitives and serves as the cache's name. Each thread has its own T, so that nobody else moves its memory
/// objects. The number of threads that compute belongs into the key, because oneDNN fixes the split of the
/// work when it makes a primitive. The reference holds until the next call for the same T.
template <class T, class Make>
T& cached(const Key& key, const Make& make) {
  // Shapes are few; a program that never repeats one must not grow without end.
  static constexpr size_t capacity = 1024;
  auto& cache = detail::cache_of<T>();
  const auto found = cache.find(key);
  if (found != cache.end()) return *found->second;
  if (cache.size() >= capacity) cache.clear();
  return *cache.emplace(key, std::make_unique<T>(make())).first->second;
}

}  // namespace trainer::cpu
