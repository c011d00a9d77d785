// All of Swin-Transformer's configurations give the tree that yacs makes of them (tests/golden/README.md,
// swin_configs.json).
#include <fstream>
#include <set>

#include "lib/config/yaml.h"
#include "tests/config/fixture.h"
#include "tests/config/yacs_rules.h"

using namespace trainer;
using namespace trainer::config;
using Json = nlohmann::json;
namespace fs = std::filesystem;

namespace {

const fs::path folder = TESTS_DIR "/config/swin";

Json fixture() {
  std::ifstream file(TESTS_DIR "/golden/swin_configs.json");
  REQUIRE(file);
  return Json::parse(file);
}

/// The value of a key in a text, by YAML's and Python's rules alone: our declaration of the key has no say.
Value undeclared(const RawValue& root, std::string_view key) {
  const RawValue* at = &root;
  while (true) {
    const size_t dot = key.find('.');
    const auto found = std::find_if(at->entries.begin(), at->entries.end(),
                                    [&](const auto& entry) { return entry.key == key.substr(0, dot); });
    INFO(key);
    REQUIRE(found != at->entries.end());
    at = found->value.get();
    if (dot == key.npos) return *decode(*at);
    key.remove_prefix(dot + 1);
  }
}

}  // namespace

TEST_CASE("every key of Swin's is declared, with its type and default") {
  const Config config = Config::defaults();
  const Json defaults = fixture()["defaults"];
  CHECK(defaults.size() == 130);
  for (const auto& [key, value] : defaults.items()) {
    INFO(key);
    const Node* leaf = config.root().find(key);
    REQUIRE(leaf);
    REQUIRE(leaf->is_leaf());
    const Type& type = leaf->declaration().type;
    CHECK(type.kind == value_of(value).kind());
    CHECK_FALSE(type.or_auto);
    CHECK(type.nullable == value.is_null());
    if (key == "MODEL.TYPE") {  // the one default that is not Swin's: a NAME alone says which model
      CHECK(value == "swin");
      CHECK(leaf->value() == Value("auto"));
    } else {
      CHECK(is_same(value, leaf->value()));
    }
  }
}

TEST_CASE("Swin's configurations merge and dump to the trees of yacs") {
  const Json golden = fixture();
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.insert(entry.path().stem().string());
  CHECK(names.size() == 46);
  const Folder temporary;
  for (const auto& [name, values] : golden["files"].items()) {
    INFO(name);
    CHECK(names.erase(name) == 1);
    Config config = Config::defaults();
    config.merge_file(folder / (name + ".yaml"));
    const std::string dump = config.dump();
    Budget budget;
    Problems problems;
    const auto read = read_yaml(dump, "dump", budget, problems);
    problems.raise();
    for (const Node* leaf : config.root().leaves()) {
      const std::string& key = leaf->path();
      INFO(key);
      if (!golden["defaults"].contains(key)) {
        CHECK(leaf->history().size() == 1);  // a key of ours
        continue;
      }
      const Json& theirs = values.contains(key) ? values[key] : golden["defaults"][key];
      CHECK(is_same(theirs, leaf->value()));
      CHECK(is_same(theirs, undeclared(*read, key)));
    }
    Config again = Config::defaults();
    again.merge_file(temporary.write("dump.yaml", dump));
    CHECK(again == config);
  }
  CHECK(names.empty());  // each file is in the fixture
}
