// Flags that fill variables, with their checks.
#include <algorithm>
#include <charconv>
#include <cmath>

#include "apps/cli/command.h"
#include "lib/base/text.h"

namespace trainer::cli {
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
          "{} {}: expected a whole number from {} to {}", name, printable(word), min, max);
  };
  return {std::move(name), std::move(type), std::move(help), std::move(take)};
}

Flag seconds(std::string name, std::string help, double& value) {
  auto take = [name, &value](const std::string& word) {
    check(Exit::usage, parse_whole(word, value) && std::isfinite(value) && value > 0,
          "{} {}: expected a number of seconds above 0", name, printable(word));
  };
  return {std::move(name), "SECONDS", std::move(help), std::move(take)};
}

std::vector<std::string> names_of(const Flag& flag) {
  std::vector<std::string> all;
  for (size_t begin = 0; begin < flag.name.size();) {
    const size_t end = std::min(flag.name.find(',', begin), flag.name.size());
    all.push_back(flag.name.substr(begin, end - begin));
    begin = end + 1;
  }
  return all;
}

std::string name_of(const Flag& flag) { return flag.name.substr(flag.name.rfind(',') + 1); }

std::string normalised(std::string word) {
  if (word.starts_with("--")) std::replace(word.begin(), std::find(word.begin(), word.end(), '='), '_', '-');
  return word;
}

}  // namespace trainer::cli
