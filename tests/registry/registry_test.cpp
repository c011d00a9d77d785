#include "lib/registry/registry.h"

#include "tests/error_of.h"

using namespace trainer;

namespace {

struct Pet {
  virtual ~Pet() = default;
  virtual std::string says(int times) const = 0;
};

struct Dog final : Pet {
  struct Config {
    std::string sound = "woof";
    int legs = 4;  // no key: a preset's
    void fields(config::Fields& f) { f("SOUND", sound, "what it says"); }
  };
  Dog(const Config& c, std::string o) : config(c), owner(std::move(o)) {}
  std::string says(int times) const override {
    std::string text = owner + ":";
    for (int i = 0; i < times; ++i) text += " " + config.sound;
    return text + fmt::format(" on {} legs", config.legs);
  }
  Config config;
  std::string owner;
};

struct Cat final : Pet {
  struct Config {
    bool purrs = true;
    void fields(config::Fields& f) { f("PURRS", purrs, "whether it purrs"); }
  };
  Cat(const Config&, const std::string&) {}
  std::string says(int) const override { return ""; }
};

using Pets = Registry<Pet, const std::string&>;

Pets& pets() {
  static Pets registry("pet", "PET");
  return registry;
}

const bool registered[] = {pets().add<Dog>("dog"), pets().add<Dog>("tripod", {.legs = 3}),
                           pets().add<Cat>("cat")};

std::string message_of(const std::string& name) {
  const config::Config config = config::Config::defaults();
  return trainer::error_of([&] { pets().make(name, config.group("PET"), "x"); }, Exit::usage);
}

}  // namespace

TEST_CASE("a component is made by name, with its keys, its preset and the arguments") {
  config::Config config = config::Config::defaults();
  config.set("PET.SOUND", "arf");
  CHECK(pets().make("dog", config.group("PET"), "Ann")->says(2) == "Ann: arf arf on 4 legs");
  CHECK(pets().make("tripod", config.group("PET"), "Bob")->says(1) == "Bob: arf on 3 legs");
  CHECK(config.unread().empty());
}

TEST_CASE("a registry tells its names and which component reads a key") {
  CHECK(registered[0]);
  CHECK(pets().names() == std::vector<std::string>{"cat", "dog", "tripod"});
  CHECK(pets().has("cat"));
  CHECK_FALSE(pets().has("Cat"));
  CHECK(pets().reads("dog", "SOUND"));
  CHECK_FALSE(pets().reads("cat", "SOUND"));
  CHECK_FALSE(pets().reads("fish", "SOUND"));
  CHECK(pets().group() == "PET");
}

TEST_CASE("an unknown name lists near ones, or all where none is near") {
  CHECK(message_of("dgo") == "unknown pet 'dgo' (did you mean dog?)");
  CHECK(message_of("elephant") == "unknown pet 'elephant' (known: cat, dog, tripod)");
  const config::Config config = config::Config::defaults();
  CHECK(trainer::error_of([&] { Pets("empty", "PET").make("a", config.group("PET"), "x"); }, Exit::usage) ==
        "unknown empty 'a'");
}

TEST_CASE("a name can be registered once") {
  CHECK_THROWS_WITH(pets().add<Cat>("dog"), ContainsSubstring("pet 'dog' is registered twice"));
}
