// The trainer as its users run it, and what they find in a run directory.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "lib/base/file.h"
#include "lib/io/safetensors.h"
#include "tests/catch.h"
#include "tests/support/process.h"

namespace program {

namespace fs = std::filesystem;
using nlohmann::json;
using Words = std::vector<std::string>;
using trainer::Exit;

inline const std::string mlp = TESTS_DIR "/../configs/digits/mlp.yaml";

inline Words command(const Words& words) {
  Words all{BINARY_DIR "/bin/trainer"};
  all.insert(all.end(), words.begin(), words.end());
  return all;
}

inline Outcome outcome_of(const Words& words, double seconds = 60) {
  return Process(command(words)).wait(seconds);
}

/// The same, which must succeed.
inline Outcome succeed(const Words& words) {
  const Outcome result = outcome_of(words);
  INFO(result.err);
  REQUIRE(result.code == 0);
  return result;
}

/// The same, which must fail with this code, one "error: " on stderr and nothing on stdout. Returns the
/// message.
inline std::string message_of(Exit code, const Words& words) {
  const Outcome result = outcome_of(words);
  INFO(result.err);
  CHECK(result.code == static_cast<int>(code));
  CHECK(result.out.empty());
  const auto begin = result.err.find("error: ");
  REQUIRE(begin != std::string::npos);
  CHECK(result.err.find("error: ", begin + 1) == std::string::npos);
  CHECK(result.err.find(".cpp:") == std::string::npos);  // a user's mistake is not ours
  return result.err.substr(begin);
}

/// The words that train the MLP on digits for one epoch, as run `tag` below `output`. One thread: on a busy
/// machine two of them wait for each other most of the time.
inline Words mlp_words(const fs::path& output, const std::string& tag, const Words& opts = {}) {
  Words words{"--cfg",  mlp,       "--output", output.string(), "--tag", tag,
              "--opts", "THREADS", "1",        "TRAIN.EPOCHS",  "1"};
  words.insert(words.end(), opts.begin(), opts.end());
  return words;
}

/// Runs them and returns the run directory.
inline fs::path train_mlp(const fs::path& output, const std::string& tag, const Words& opts = {}) {
  succeed(mlp_words(output, tag, opts));
  return output / "mlp" / tag;
}

inline std::string text_of(const fs::path& file) { return trainer::read_file(file, trainer::Exit::internal); }

/// The lines of metrics.jsonl of one kind, "train" or "eval".
inline std::vector<json> metrics(const fs::path& run, const std::string& kind) {
  std::vector<json> lines;
  std::stringstream text(text_of(run / "metrics.jsonl"));
  for (std::string line; std::getline(text, line);) {
    json parsed = json::parse(line);
    if (parsed.at("kind") == kind) lines.push_back(std::move(parsed));
  }
  return lines;
}

/// The losses of the training lines.
inline std::vector<double> losses(const fs::path& run) {
  std::vector<double> all;
  for (const json& line : metrics(run, "train")) all.push_back(line.at("loss").get<double>());
  return all;
}

/// The directory that checkpoints/latest (or best) names.
inline fs::path checkpoint(const fs::path& run, const std::string& pointer = "latest") {
  std::string name = text_of(run / "checkpoints" / pointer);
  while (!name.empty() && name.back() == '\n') name.pop_back();
  return run / "checkpoints" / name;
}
inline std::string weights(const fs::path& run) { return text_of(checkpoint(run) / "model.safetensors"); }

/// Names in a folder, hidden ones included.
inline std::set<std::string> entries(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().filename().string());
  return names;
}

/// A safetensors file with images f32 [N, 1, 8, 8] and labels 0, 1, 2, ... mod 10.
inline void write_images(const fs::path& file, int64_t count, double value = 0.5,
                         std::vector<int64_t> labels = {}) {
  for (int64_t i = std::ssize(labels); i < count; ++i) labels.push_back(i % 10);
  const auto images = trainer::Tensor::full({count, 1, 8, 8}, value);
  const std::vector<std::pair<std::string, trainer::Tensor>> all{
      {"images", images},
      {"labels", trainer::Tensor::of<int64_t>(std::span<const int64_t>(labels), {count})}};
  trainer::io::write_safetensors(file, all, {}, trainer::Exit::internal);
}

}  // namespace program
