// trainer config: the tree of keys itself.
#include <cstdio>
#include <map>

#include "apps/trainer/command.h"
#include "lib/base/text.h"

namespace trainer::app {
namespace {

/// docs/config.md, whole: a table per group. A test keeps the file equal to this.
std::string reference_page() {
  const config::Config config = config::Config::defaults();
  std::string text =
      "# Configuration keys\n\n"
      "Written by `trainer config docs`. A key can be set in a file, with `--opts KEY VALUE`, or by its "
      "flag; "
      "`trainer --explain KEY` shows one with its value and what set it. Keys marked *pending* are known, so "
      "that files which "
      "set them are understood, but their feature is not built: another value than the default is refused, "
      "or ignored with a warning where it "
      "changes no result.\n";
  std::map<std::string, std::vector<std::string>> groups;
  for (const std::string& key : config.keys()) {
    const auto dot = key.rfind('.');
    groups[dot == key.npos ? "" : key.substr(0, dot)].push_back(key);
  }
  for (const auto& [group, keys] : groups) {
    text += fmt::format("\n## {}\n\n| key | default | type | meaning |\n|---|---|---|---|\n",
                        group.empty() ? "Root" : group);
    for (const std::string& key : keys) {
      const config::Explanation e = config.explanation(key);
      std::string type = e.type;
      if (!e.range.empty()) type += ", " + e.range;
      if (!e.unit.empty()) type += ", " + e.unit;
      text += fmt::format("| {} | `{}` | {} | {}{} |\n", key, e.default_value.repr(), type,
                          e.unsupported ? "*pending*: " : "", e.help);
    }
  }
  return text;
}

int print_keys(const std::string& glob, bool names) {
  const config::Config config = config::Config::defaults();
  int count = 0;
  for (const std::string& key : config.keys()) {
    if (!glob_match(glob, key)) continue;
    ++count;
    if (names) {
      std::puts(key.c_str());
      continue;
    }
    const config::Explanation e = config.explanation(key);
    fmt::print("{:<36} {:<24} {}\n", key, e.default_value.repr(), e.help);
  }
  check(Exit::usage, count > 0, "no key matches '{}'{}", glob, did_you_mean(glob, config.keys()));
  return 0;
}

}  // namespace

Command config_command() {
  struct Flags {
    std::string glob = "*";
    bool names = false;
  };
  auto flags = std::make_shared<Flags>();
  Flag glob = text("GLOB", "PATTERN", "pattern of keys, as 'TRAIN.*'", flags->glob);
  glob.offered = {"@keys"};
  return {.name = "config",
          .help = "the tree of configuration keys",
          .examples = R"(Examples:
  trainer config keys 'TRAIN.*'
  trainer config diff configs/digits/cnn.yaml output/cnn/default
  trainer config docs > docs/config.md)",
          .flags = {},
          .run = {},
          .subcommands = {{.name = "docs",
                           .help = "the reference page of all keys (Markdown)",
                           .examples = R"(Examples:
  trainer config docs > docs/config.md)",
                           .flags = {},
                           .run =
                               [] {
                                 std::fputs(reference_page().c_str(), stdout);
                                 return 0;
                               }},
                          config_diff_command(),
                          {.name = "keys",
                           .help = "keys, their defaults and meaning",
                           .examples = R"(Examples:
  trainer config keys
  trainer config keys 'TRAIN.*'
  trainer config keys --names | fzf)",
                           .flags = {std::move(glob), toggle("--names", "only the names", flags->names)},
                           .run = [flags] { return print_keys(flags->glob, flags->names); }}}};
}

}  // namespace trainer::app
