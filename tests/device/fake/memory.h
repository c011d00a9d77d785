// The memory of the fake device.
#pragma once

#include <cstddef>

namespace trainer::fake {

/// Where the bytes of a device address are, which the host must not touch itself.
std::byte* memory_at(const void* address);

}  // namespace trainer::fake
