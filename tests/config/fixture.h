// A tree of test keys below T, files in a folder of their own, and the problems that a merge or bind reports.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "lib/config/config.h"
#include "tests/error_of.h"
#include "tests/temp_folder.h"

namespace trainer::config {

struct TestKeys {
  int64_t epochs = 300;
  int small = 1;
  double base_lr = 5e-4;
  double limit = 1.0;
  bool shuffle = true;
  std::string name = "model";
  std::string mode = "batch";
  std::vector<int64_t> depths = {2, 2, 6, 2};
  std::vector<double> betas = {0.9, 0.999};
  std::vector<std::string> plugins = {};
  std::optional<double> scale;
  std::optional<int64_t> threads;
  double nested_rate = 0.1;

  struct Nested {
    TestKeys& outer;
    void fields(Fields& f) { f("DECAY_RATE", outer.nested_rate, "factor", {.min = 0, .min_open = true}); }
  };

  void fields(Fields& f) {
    f("EPOCHS", epochs, "passes over the data", {.min = 1, .unit = "epochs"});
    f("SMALL", small, "a 32-bit number");
    f("BASE_LR", base_lr, "learning rate", {.min = 0, .max = 10});
    f("LIMIT", limit, "may be infinite", {.nonfinite = true});
    f("SHUFFLE", shuffle, "random order");
    f("NAME", name, "a label");
    f.choice("MODE", mode, {"batch", "pair", "elem"}, "what is mixed");
    f("DEPTHS", depths, "blocks of each stage", {.min = 1});
    f("BETAS", betas, "decay of the moments", {.min = 0, .max = 1, .max_open = true, .length = 2});
    f("PLUGINS", plugins, "libraries");
    f("SCALE", scale, "None: automatic", {.min = 0});
    f.auto_or("THREADS", threads, "compute threads", {.min = 1});
    Nested nested{*this};
    f.group("SCHEDULE", nested);
  }
};

/// Defaults with the test keys below T.
inline Config test_config() {
  declare("T", TestKeys{});
  return Config::defaults();
}

class Folder : public TempFolder {
 public:
  std::filesystem::path write(const std::string& name, const std::string& text) const {
    const auto file = *this / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }
};

/// The message of the Error that `action` throws; the test fails if it has another exit code.
template <class Action>
std::string problems_of(Action&& action, Exit code = Exit::usage) {
  return error_of(action, code);
}

inline void merge_words(Config& config, std::vector<std::string> words) { config.merge_opts(words); }

/// The value of a key of T after `T: {KEY: text}` or `--opts T.KEY text`.
inline Value from_yaml(const std::string& key, const std::string& text) {
  const Folder folder;
  Config config = test_config();
  config.merge_file(folder.write("a.yaml", "T:\n  " + key + ": " + text + "\n"));
  return config.group("T").at(key).value();
}
inline Value from_opts(const std::string& key, const std::string& text) {
  Config config = test_config();
  merge_words(config, {"T." + key, text});
  return config.group("T").at(key).value();
}
inline std::string yaml_error(const std::string& key, const std::string& text) {
  return problems_of([&] { from_yaml(key, text); });
}
inline std::string opts_error(const std::string& key, const std::string& text) {
  return problems_of([&] { from_opts(key, text); });
}

}  // namespace trainer::config
