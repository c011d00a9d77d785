// scripts/check_layout on small trees that are right or wrong.
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "tests/catch.h"
#include "tests/temp_folder.h"

namespace fs = std::filesystem;

namespace {

void put(const fs::path& path, const std::string& text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << text;
}

/// The script's output; ends with "exit N".
std::string check_layout(const fs::path& root) {
  const std::string command = "'" TESTS_DIR "/../scripts/check_layout' '" + root.string() + "' 2>&1";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string output;
  std::array<char, 4096> buffer{};
  while (const size_t n = std::fread(buffer.data(), 1, buffer.size(), pipe)) output.append(buffer.data(), n);
  return output + "exit " + std::to_string(WEXITSTATUS(::pclose(pipe)));
}

/// What the script says of one file with one include.
std::string verdict(const std::string& file, const std::string& include) {
  const TempFolder folder;
  put(folder / file, "// A file.\n#include " + include + "\n");
  return check_layout(folder.path());
}

}  // namespace

TEST_CASE("check_layout: allowed includes") {
  const std::array<std::array<const char*, 2>, 15> allowed{{
      {"lib/ops/conv.cpp", "\"lib/ops/conv.h\""},
      {"lib/ops/conv.cpp", "\"lib/tensor/tensor.h\""},
      {"lib/models/resnet.cpp", "\"lib/nn/layers.h\""},
      {"lib/models/resnet.cpp", "\"lib/base/error.h\""},  // through nn, autograd, ops, tensor
      {"lib/nn/layers.h", "\"lib/registry/registry.h\""},
      {"lib/nn/layers.h", "\"lib/config/fields.h\""},
      {"lib/backend/cuda/conv.cpp", "\"kernels/conv.h\""},
      {"lib/train/trainer.cpp", "\"lib/comm/comm.h\""},
      {"apps/trainer/main.cpp", "\"lib/comm/shm.h\""},
      {"apps/trainer/main.cpp", "\"lib/backend/cpu/backend.h\""},
      {"apps/trainer-launch/main.cpp", "\"lib/base/error.h\""},
      {"apps/trainer-launch/options.cpp", "\"apps/cli/parse.h\""},
      {"apps/trainer/main.cpp", "\"apps/cli/parse.h\""},
      {"kernels/conv.cu", "\"kernels/conv.h\""},
      {"lib/base/log.cpp", "<spdlog/spdlog.h>"},
  }};
  for (const auto& [file, include] : allowed) {
    INFO(file << " includes " << include);
    CHECK(verdict(file, include) == "exit 0");
  }
}

TEST_CASE("check_layout: forbidden includes") {
  const std::array<std::array<const char*, 2>, 16> forbidden{{
      {"lib/base/error.cpp", "\"lib/config/config.h\""},
      {"lib/tensor/tensor.h", "\"lib/ops/conv.h\""},
      {"lib/tensor/tensor.h", "<lib/ops/conv.h>"},
      {"lib/tensor/tensor.h", "\"lib/config/config.h\""},
      {"lib/ops/conv.cpp", "\"lib/backend/cpu/conv.h\""},
      {"lib/backend/cpu/conv.cpp", "\"lib/backend/ref/conv.h\""},
      {"lib/backend/cpu/conv.cpp", "\"kernels/conv.h\""},
      {"lib/io/safetensors.cpp", "\"lib/nn/module.h\""},
      {"lib/train/trainer.cpp", "\"lib/backend/cpu/conv.h\""},
      {"lib/train/trainer.cpp", "\"lib/comm/nccl.h\""},
      {"apps/trainer/main.cpp", "\"kernels/conv.h\""},
      {"apps/trainer-launch/main.cpp", "\"lib/comm/comm.h\""},
      {"apps/cli/parse.cpp", "\"lib/config/config.h\""},
      {"lib/train/trainer.cpp", "\"apps/cli/parse.h\""},
      {"kernels/conv.cu", "\"lib/base/error.h\""},
      {"lib/ops/conv.cpp", "\"conv.h\""},  // not from the root
  }};
  for (const auto& [file, include] : forbidden) {
    INFO(file << " includes " << include);
    const std::string text = verdict(file, include);
    CHECK_THAT(text, ContainsSubstring(std::string(file) + ":2: "));
    CHECK_THAT(text, ContainsSubstring("exit 1"));
  }
}

TEST_CASE("check_layout: files that belong to no part") {
  CHECK_THAT(verdict("lib/misc/a.cpp", "<vector>"), ContainsSubstring("lib/misc/a.cpp: misc is not a part"));
}

TEST_CASE("check_layout: long files say why") {
  std::string lines;
  for (int i = 0; i < 450; ++i) lines += "\n";
  const TempFolder folder;
  put(folder / "lib/base/a.cpp", lines);
  CHECK(check_layout(folder.path()) == "exit 0");
  put(folder / "lib/base/b.cpp", lines + "\n");
  CHECK_THAT(check_layout(folder.path()), ContainsSubstring("lib/base/b.cpp: 451 lines"));
  put(folder / "lib/base/b.cpp", "// A table.\n// Long because it is a table.\n" + lines);
  CHECK(check_layout(folder.path()) == "exit 0");
}
