#include "lib/comm/sum.h"

#include <algorithm>
#include <array>

#include "lib/base/error.h"

namespace trainer::comm {
namespace {

template <class T>
void add(const T* a, const T* b, T* to, size_t count) {
  for (size_t i = 0; i < count; ++i) to[i] = a[i] + b[i];
}

template <class T>
void sum(std::span<const std::byte* const> parts, std::byte* to, size_t count) {
  // `to` may be a part that is still to be added: the sum grows in a block of its own, inside the L1 cache.
  std::array<T, 8192 / sizeof(T)> block;
  const auto part = [&](size_t i) { return reinterpret_cast<const T*>(parts[i]); };
  for (size_t begin = 0; begin < count; begin += block.size()) {
    const size_t n = std::min(block.size(), count - begin);
    T* const out = reinterpret_cast<T*>(to) + begin;
    if (parts.size() == 2) {
      add(part(0) + begin, part(1) + begin, out, n);
      continue;
    }
    add(part(0) + begin, part(1) + begin, block.data(), n);
    for (size_t p = 2; p + 1 < parts.size(); ++p) add(block.data(), part(p) + begin, block.data(), n);
    add(block.data(), part(parts.size() - 1) + begin, out, n);
  }
}

}  // namespace

void sum_in_order(DType dtype, std::span<const std::byte* const> parts, std::byte* to, size_t count) {
  switch (dtype) {
    case DType::f32:
      return sum<float>(parts, to, count);
    case DType::f64:
      return sum<double>(parts, to, count);
    case DType::i64:
      return sum<uint64_t>(parts, to, count);  // unsigned: overflow is defined
    default:
      fail(Exit::internal, "{} is not summed over ranks", name_of(dtype));
  }
}

}  // namespace trainer::comm
