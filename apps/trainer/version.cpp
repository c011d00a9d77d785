// --version: version, compiler, libraries, devices.
#include "apps/trainer/command.h"
#include "lib/backend/cpu/info.h"
#include "lib/tensor/device.h"

namespace trainer::app {

std::string version_text() {
#if defined(__clang__)
  const std::string compiler = "clang " __clang_version__;
#else
  const std::string compiler = "g++ " __VERSION__;
#endif
  std::string devices = "cpu, ref";
  if (may_have_backend(Device::Kind::cuda)) devices += ", cuda";
  return fmt::format("trainer {} ({}, {}, {})\nlibraries: {}\ndevices: {}", TRAINER_VERSION,
                     TRAINER_BUILD_TYPE, compiler, TRAINER_COMMIT, cpu::library_versions(), devices);
}

}  // namespace trainer::app
