// The fake device (tests/device/fake) in this process, and a program that finds it.
#pragma once

#include <dlfcn.h>

#include "lib/base/file.h"
#include "lib/tensor/device.h"
#include "tests/catch.h"

namespace trainer::fake {

inline const fs::path library = BINARY_DIR "/fake_cuda/libtrainer_cuda.so";

/// Loads it, once, before anything here asks for device cuda.
inline void load() {
  static void* const loaded = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  INFO(library.string());
  REQUIRE(loaded != nullptr);
  REQUIRE(has_backend(Device::Kind::cuda));
}

/// A copy of the built program and its library in `folder`, with this CUDA backend ("": none). Returns the
/// program.
inline fs::path install(const fs::path& folder, const fs::path& backend = library) {
  fs::create_directories(folder / "bin");
  fs::create_directories(folder / "lib");
  fs::copy_file(BINARY_DIR "/bin/trainer", folder / "bin/trainer");
  fs::copy_file(BINARY_DIR "/lib/libtrainer.so", folder / "lib/libtrainer.so");
  if (!backend.empty()) fs::copy_file(backend, folder / "lib/libtrainer_cuda.so");
  return folder / "bin/trainer";
}

}  // namespace trainer::fake
