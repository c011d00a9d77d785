// The fixtures under tests/golden (tests/golden/README.md says what they hold and how each was made).
//
//   const auto file = golden::tensors("resnet18_sgd");
//   const auto names = golden::made(file, "parameters");
#pragma once

#include <nlohmann/json.hpp>

#include <string>

#include "lib/base/file.h"
#include "lib/io/safetensors.h"

namespace golden {

/// tests/golden/NAME.safetensors
inline trainer::io::SafetensorsFile tensors(const std::string& name) {
  return {TESTS_DIR "/golden/" + name + ".safetensors", trainer::Exit::internal};
}

/// tests/golden/NAME.json
inline nlohmann::json json(const std::string& name) {
  return nlohmann::json::parse(
      trainer::read_file(TESTS_DIR "/golden/" + name + ".json", trainer::Exit::internal));
}

/// A setting of the run that made the file: metadata `key`, which is JSON.
inline nlohmann::json made(const trainer::io::SafetensorsFile& file, const std::string& key) {
  return nlohmann::json::parse(file.metadata().at(key));
}

}  // namespace golden
