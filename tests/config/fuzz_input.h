// One hostile configuration: what has to hold for it, whoever made it. Shared by the fuzzer and by the test that goes
// through the corpus (tests/config/fuzz).
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "lib/config/config.h"
#include "lib/config/literal.h"
#include "lib/config/pending.h"

namespace trainer::config {

/// Words for --opts: the lines of a file that begin with "#opts ", which YAML takes for comments.
inline std::vector<std::string> fuzz_opts(std::string_view text) {
  constexpr std::string_view mark = "#opts ";
  std::vector<std::string> words;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    const std::string_view line = text.substr(at, end - at);
    if (line.starts_with(mark)) words.emplace_back(line.substr(mark.size()));
    at = end + 1;
  }
  return words;
}

/// Throws what lib/config never may: anything but an Error for the user that names the file or --opts.
inline void expect_usage(const Error& error, const std::filesystem::path& file) {
  const std::string_view what = error.what();
  if (error.code() != Exit::usage) throw std::logic_error("another exit code: " + std::string(what));
  const bool named = what.starts_with(file.string()) || what.starts_with("--opts") || what.starts_with(": ");
  if (!named) throw std::logic_error("no place: " + std::string(what));
}

/// Merges the file and its words into the tree of all keys. Returns the problems, "" if there were none; then the
/// tree also survives a dump. Throws std::logic_error if something does not hold that should.
inline std::string try_input(const std::filesystem::path& file, std::string_view text,
                             const Config& defaults) {
  const std::vector<std::string> words = fuzz_opts(text);
  for (const std::string& word : words) parse_literal(word);
  Config config = defaults;
  try {
    config.merge({.file = file, .opts = words});
    config.freeze();
  } catch (const Error& error) {
    expect_usage(error, file);
    if (!(config == defaults)) throw std::logic_error("a merge that failed has left something behind");
    return error.what();
  }
  const std::filesystem::path copy = file.string() + ".dump.yaml";
  const std::string dump = config.dump();
  std::ofstream(copy, std::ios::binary) << dump;
  Config again = defaults;
  try {
    again.merge_file(copy);
  } catch (const Error& error) {
    throw std::logic_error("the dump is refused: " + std::string(error.what()) + "\n" + dump);
  }
  if (!(again == config)) throw std::logic_error("the dump is another tree:\n" + dump);
  try {
    check_pending(config);
  } catch (const Error& error) {
    if (error.code() != Exit::usage) throw std::logic_error(error.what());
  }
  return "";
}

}  // namespace trainer::config
