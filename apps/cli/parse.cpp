#include "apps/cli/parse.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>

#include "apps/cli/help.h"
#include "lib/base/text.h"

namespace trainer::cli {
namespace {

using Words = std::vector<std::string>;

class Parser {
 public:
  Parser(const Command& root, const Words& words) : words_(words) {
    parsed_.command = &root;
    parsed_.path = root.name;
  }

  Parsed parse() {
    while (next_ < words_.size()) word(words_[next_++]);
    if (!parsed_.help && !parsed_.version) check_complete();
    for (const Flag& flag : command().flags) {
      for (auto& [other, words] : given_) {
        if (other == &flag) parsed_.given.emplace_back(other, std::move(words));
      }
    }
    return std::move(parsed_);
  }

 private:
  const Command& command() const { return *parsed_.command; }

  template <class... A>
  void problem(fmt::format_string<A...> text, A&&... a) {
    parsed_.problems.push_back(fmt::format(text, std::forward<A>(a)...));
  }

  const Flag* find(const std::string& name) const {
    for (const Flag& flag : command().flags) {
      if (!is_argument(flag) && std::ranges::count(names_of(flag), name) > 0) return &flag;
    }
    return nullptr;
  }

  /// The argument that the next word without dashes is; nullptr if there is none.
  const Flag* next_argument() const {
    int position = 0;
    for (const Flag& flag : command().flags) {
      if (is_argument(flag) && (flag.many || position++ >= arguments_)) return &flag;
    }
    return nullptr;
  }

  void give(const Flag& flag, Words words, bool add = false) {
    const auto before = std::ranges::find(given_, &flag, [](const auto& g) { return g.first; });
    if (before == given_.end()) {
      given_.emplace_back(&flag, std::move(words));
    } else if (add) {
      before->second.insert(before->second.end(), words.begin(), words.end());
    } else {
      before->second = std::move(words);
    }
  }

  void word(const std::string& given) {
    const bool is_flag = !only_arguments_ && given.size() > 1 && given.starts_with("-");
    if (is_flag && given != "--") return flag(normalised(given));
    const Flag* argument = next_argument();
    if (argument != nullptr && argument->program)
      return program(given == "--" && is_flag ? next_ : next_ - 1);
    if (is_flag) {
      only_arguments_ = true;
      return;
    }
    const auto sub = std::ranges::find(command().subcommands, given, &Command::name);
    if (sub != command().subcommands.end() && arguments_ == 0) return enter(*sub);
    if (argument == nullptr) return unknown(given);
    ++arguments_;
    give(*argument, {given}, argument->many);
  }

  void enter(const Command& sub) {
    for (const auto& [flag, words] : given_) {
      problem("{} before '{}' has no effect: flags come after the subcommand", name_of(*flag), sub.name);
    }
    given_.clear();
    parsed_.command = &sub;
    parsed_.path += " " + sub.name;
  }

  void program(size_t begin) {
    const Flag& flag = *next_argument();
    give(flag, Words(words_.begin() + static_cast<std::ptrdiff_t>(begin), words_.end()));
    ++arguments_;
    next_ = words_.size();
  }

  void flag(const std::string& given) {
    const size_t equals = given.find('=');
    std::string name = given.substr(0, equals);
    std::optional<std::string> value;
    if (equals != given.npos) value = given.substr(equals + 1);
    if (name == "--help" || name == "-h") {
      parsed_.help = true;
      return;
    }
    if (name == "--version" && command().version) {
      parsed_.version = true;
      return;
    }
    const Flag* found = find(name);
    if (found == nullptr && !given.starts_with("--")) {  // -l5
      found = find(given.substr(0, 2));
      if (found != nullptr && found->type.empty()) found = nullptr;
      if (found != nullptr) value = given.substr(2);
    }
    if (found == nullptr) {
      if (std::ranges::count(command().program_flags, name) > 0) return program(next_ - 1);
      unknown(name);
      // What follows is most likely its value.
      if (!value && next_argument() == nullptr) skip_value();
    } else if (found->pairs) {
      pairs(*found);
    } else if (found->type.empty()) {
      const bool truth = !value || *value == "true" || *value == "false";
      if (!truth) return problem("{}={}: takes no value", name, *value);
      give(*found, {value.value_or("true")});
    } else if (found->alone) {
      const bool follows = next_ < words_.size() && !words_[next_].starts_with("-");
      if (!value && follows) value = words_[next_++];
      give(*found, {value && !value->empty() ? *value : *found->alone});
    } else if (value || has_value()) {
      if (!value) value = words_[next_++];
      give(*found, {*value});
    } else {
      problem("{}: expected {} after it", name_of(*found), found->type);
    }
  }

  /// The next word is there, and no flag.
  bool has_value() const {
    if (next_ >= words_.size()) return false;
    const std::string word = normalised(words_[next_]), name = word.substr(0, word.find('='));
    return !word.starts_with("--") || (find(name) == nullptr && name != "--help");
  }

  /// A word with = in the place of a key is a pair of its own; one that begins with -- there is the next flag.
  void pairs(const Flag& flag) {
    Words all;
    while (next_ < words_.size() && !words_[next_].starts_with("--")) {
      const std::string& key = words_[next_++];
      if (const size_t equals = key.find('='); equals != key.npos) {
        all.insert(all.end(), {key.substr(0, equals), key.substr(equals + 1)});
      } else {
        all.push_back(key);
        if (next_ < words_.size()) all.push_back(words_[next_++]);  // else whoever reads the pairs complains
      }
    }
    give(flag, std::move(all), true);
  }

  void skip_value() {
    const auto is_command = [this](const std::string& word) {
      return std::ranges::find(command().subcommands, word, &Command::name) != command().subcommands.end();
    };
    while (next_ < words_.size() && !words_[next_].starts_with("-") && !is_command(words_[next_])) ++next_;
  }

  void unknown(const std::string& word) {
    Words known{"--help"};
    for (const Flag& flag : command().flags) {
      if (flag.hidden || is_argument(flag)) continue;
      for (std::string& name : names_of(flag)) known.push_back(std::move(name));
    }
    for (const Command& sub : command().subcommands) known.push_back(sub.name);
    known.insert(known.end(), command().program_flags.begin(), command().program_flags.end());
    std::string hint = did_you_mean(word, known);
    if (hint.empty()) hint = fmt::format(" (see {} --help)", parsed_.path);
    problem("unknown argument {}{}", printable(word), hint);
  }

  void check_complete() {
    for (const Flag& flag : command().flags) {
      const bool missing = flag.required && std::ranges::find(given_, &flag, [](const auto& g) {
                                              return g.first;
                                            }) == given_.end();
      if (missing)
        problem("{} is missing (see {} --help)", is_argument(flag) ? flag.name : name_of(flag), parsed_.path);
    }
    if (command().run) return;
    std::string subs;
    for (const Command& sub : command().subcommands) subs += (subs.empty() ? "" : ", ") + sub.name;
    if (parsed_.problems.empty()) problem("{}: expected one of {}", parsed_.path, subs);
  }

  const Words& words_;
  size_t next_ = 0;
  int arguments_ = 0;
  bool only_arguments_ = false;
  std::vector<std::pair<const Flag*, Words>> given_;
  Parsed parsed_;
};

void take_word(const Flag& flag, const std::string& word) {
  if (!flag.choices.empty() && std::ranges::find(flag.choices, word) == flag.choices.end()) {
    std::string known;
    for (const std::string& name : flag.choices) known += (known.empty() ? "" : ", ") + name;
    fail(Exit::usage, "{} {}: expected one of {}{}", name_of(flag), printable(word), known,
         did_you_mean(word, flag.choices));
  }
  flag.take(word);
}

/// A switch's value in the environment.
std::string truth(const Flag& flag, std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto is_one_of = [&](std::initializer_list<const char*> words) {
    return std::ranges::any_of(words, [&](const char* word) { return text == word; });
  };
  if (is_one_of({"1", "true", "yes", "on"})) return "true";
  check(Exit::usage, is_one_of({"0", "false", "no", "off"}), "{}={}: expected true or false", flag.variable,
        text);
  return "false";
}

}  // namespace

Parsed parse(const Command& root, const std::vector<std::string>& words) {
  return Parser(root, words).parse();
}

void take(Parsed& parsed) {
  const auto collect = [&](const auto& action) {
    try {
      action();
    } catch (const Error& e) {
      if (e.code() != Exit::usage) throw;
      parsed.problems.emplace_back(e.what());
    }
  };
  for (const auto& [flag, words] : parsed.given) {
    for (const std::string& word : words) collect([&, f = flag] { take_word(*f, word); });
  }
  for (const Flag& flag : parsed.command->flags) {
    const char* value = flag.variable.empty() ? nullptr : std::getenv(flag.variable.c_str());
    if (value == nullptr || *value == '\0') continue;  // an empty variable is an unset one
    if (std::ranges::find(parsed.given, &flag, [](const auto& g) { return g.first; }) != parsed.given.end())
      continue;
    const size_t before = parsed.problems.size();
    collect([&] { take_word(flag, flag.type.empty() ? truth(flag, value) : value); });
    if (parsed.problems.size() > before && !flag.type.empty())
      parsed.problems.back().insert(0, flag.variable + ": ");
  }
}

int run(const Command& root, const std::vector<std::string>& words) {
  Parsed parsed = parse(root, words);
  if (parsed.help || parsed.version) {
    const std::string text =
        parsed.help ? help_text(*parsed.command, parsed.path) : parsed.command->version() + "\n";
    std::fputs(text.c_str(), stdout);
    return 0;
  }
  take(parsed);
  if (parsed.problems.empty()) return parsed.command->run();
  if (parsed.command->refuse) parsed.command->refuse(parsed.problems);
  std::string text;
  for (const std::string& problem : parsed.problems) text += (text.empty() ? "" : "\n") + problem;
  throw Error(Exit::usage, text);
}

}  // namespace trainer::cli
