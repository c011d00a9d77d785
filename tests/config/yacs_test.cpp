// Thousands of files and override lists on Swin's tree: what yacs accepts means the same here, and every difference
// is one of a list (tests/golden/README.md, yacs_cases.jsonl).
#include <fmt/core.h>

#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "tests/config/fixture.h"
#include "tests/config/yacs_rules.h"

using namespace trainer;
using namespace trainer::config;
using Json = nlohmann::json;

namespace {

std::vector<Json> read_lines(const std::filesystem::path& path) {
  std::ifstream file(path);
  REQUIRE(file);
  std::vector<Json> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(Json::parse(line));
  return lines;
}

/// What differs in one case.
class Comparison {
 public:
  Comparison(const Json& tree, const Json& input, const Folder& folder)
      : tree_(tree), input_(input), config_(Config::defaults()) {
    const auto opts = input.value("opts", std::vector<std::string>());
    Sources sources{.opts = opts};
    if (input.contains("yaml")) sources.file = folder.write("a.yaml", input["yaml"].get<std::string>());
    std::string error;
    try {
      config_.merge(sources);
    } catch (const Error& e) {
      CHECK(e.code() == Exit::usage);
      error = e.what();
    }
    if (error.empty()) {
      compare();
    } else if (!input.contains("refused")) {
      refusals(error);
    }
  }

  std::vector<Difference> found;

 private:
  void compare() {
    std::set<std::string> skipped;
    for (const Json& refusal : input_.value("refused", Json::array())) {
      const std::string key = refusal[0];
      const bool replaced = refusal.size() > 4;
      Difference d{.side = Difference::Side::yacs_refuses,
                   .input = input_,
                   .key = key,
                   .had = refusal[1],
                   .theirs = refusal[2]};
      if (refusal[3].is_string()) d.text = refusal[3].get<std::string>();
      if (const Node* leaf = config_.root().find(key); leaf && leaf->is_leaf()) {
        d.type = leaf->declaration().type;
        if (!replaced) d.ours = leaf->value();
      }
      found.push_back(std::move(d));
      if (key.empty()) return;  // the file as a whole: none of its values was read
      if (!replaced) skipped.insert(key);
    }
    const Json values = input_.value("values", Json::object());
    for (const Node* leaf : config_.root().leaves()) {
      const std::string& key = leaf->path();
      if (skipped.contains(key)) continue;
      if (!tree_.contains(key)) {
        if (leaf->history().size() > 1) FAIL_CHECK(key << " was set by " << input_.dump());
        continue;
      }
      const Json& theirs = values.contains(key) ? values[key] : tree_[key];
      if (!is_same(theirs, leaf->value()))
        found.push_back({.side = Difference::Side::values,
                         .input = input_,
                         .key = key,
                         .theirs = theirs,
                         .type = leaf->declaration().type,
                         .ours = leaf->value()});
    }
  }

  /// Each line of our error, with the value that yacs has for the key in it.
  void refusals(const std::string& error) {
    const Json values = input_.value("values", Json::object());
    std::istringstream lines(error);
    for (std::string line; std::getline(lines, line);) {
      Difference d{.side = Difference::Side::we_refuse, .input = input_, .message = line};
      for (const auto& [key, value] : values.items()) {
        if (line.find(": " + key + ": ") != line.npos) d.key = key, d.theirs = value;
      }
      found.push_back(std::move(d));
    }
  }

  const Json& tree_;
  const Json& input_;
  Config config_;
};

std::string described(const Difference& d) {
  const std::string ours = !d.message.empty() ? d.message : d.ours ? d.ours->repr() : "replaced";
  return fmt::format("{}\n  {}: yacs {} {}, ours {}", d.input.dump(-1, ' ', true), d.key,
                     d.side == Difference::Side::yacs_refuses ? "refuses" : "has",
                     d.theirs.dump(-1, ' ', true), ours);
}

}  // namespace

TEST_CASE("what yacs accepts means the same, and where we differ, a rule says why") {
  const auto lines = read_lines(TESTS_DIR "/golden/yacs_cases.jsonl");
  REQUIRE(lines.size() > 2000);
  const Json& tree = lines.front()["tree"];
  const Config defaults = Config::defaults();
  for (const auto& [key, value] : tree.items()) {
    INFO(key);
    CHECK(is_same(value, defaults.group(key).value()));
  }
  const Folder folder;
  std::map<std::string_view, int> seen;
  int unexplained = 0;
  for (size_t i = 1; i < lines.size(); ++i) {
    for (const Difference& d : Comparison(tree, lines[i], folder).found) {
      const auto rule =
          std::find_if(rules().begin(), rules().end(), [&](const Rule& r) { return r.explains(d); });
      if (rule != rules().end()) {
        ++seen[rule->name];
      } else if (++unexplained <= 200) {
        FAIL_CHECK("no rule explains " << described(d));
      }
    }
  }
  CHECK(unexplained == 0);
  for (const Rule& rule : rules()) {
    INFO(rule.name);
    CHECK(seen[rule.name] > 0);
  }
}

TEST_CASE("docs/config-yacs.md lists the differences") {
  std::ifstream file(TESTS_DIR "/../docs/config-yacs.md");
  REQUIRE(file);
  std::set<std::string> rows, expected;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("| `")) rows.insert(line);
  }
  for (const Rule& rule : rules()) expected.insert(fmt::format("| `{}` | {} |", rule.name, rule.reason));
  CHECK(rows == expected);
}
