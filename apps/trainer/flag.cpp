// Flags that fill variables, with their checks.
#include <charconv>
#include <cmath>

#include "apps/trainer/command.h"

namespace trainer::app {
namespace {

template <class T>
bool parse_whole(const std::string& word, T& value) {
  const char* end = word.data() + word.size();
  const auto [stop, error] = std::from_chars(word.data(), end, value);
  return error == std::errc() && stop == end;
}

}  // namespace

Flag toggle(std::string name, std::string help, bool& set) {
  return {std::move(name), "", std::move(help), [&set](const std::string& word) { set = word == "true"; }};
}

Flag text(std::string name, std::string type, std::string help, std::string& value) {
  return {std::move(name), std::move(type), std::move(help),
          [&value](const std::string& word) { value = word; }};
}

Flag choice(std::string name, std::string type, std::string help, std::string& value,
            std::vector<std::string> choices) {
  Flag flag = text(std::move(name), std::move(type), std::move(help), value);
  flag.choices = std::move(choices);
  return flag;
}

Flag number(std::string name, std::string type, std::string help, int64_t& value, int64_t min, int64_t max) {
  auto take = [name, &value, min, max](const std::string& word) {
    check(Exit::usage, parse_whole(word, value) && value >= min && value <= max,
          "{} {}: expected a whole number from {} to {}", name, word, min, max);
  };
  return {std::move(name), std::move(type), std::move(help), std::move(take)};
}

Flag seconds(std::string name, std::string help, double& value) {
  auto take = [name, &value](const std::string& word) {
    check(Exit::usage, parse_whole(word, value) && std::isfinite(value) && value > 0,
          "{} {}: expected a number of seconds above 0", name, word);
  };
  return {std::move(name), "SECONDS", std::move(help), std::move(take)};
}

}  // namespace trainer::app
