// The one file that includes CLI11, whose header alone takes ten seconds to compile.
#include "apps/cli/parse.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <cstdio>

#include "apps/cli/help.h"
#include "lib/base/text.h"

namespace trainer::cli {
namespace {

using Words = std::vector<std::string>;

/// Stands where a flag's value is missing: CLI11 would take the next flag for it, or stop. No word is equal to it.
const std::string no_value(1, '\0');

/// As CLI11 has it: -1 is none.
bool is_flag(const std::string& word) {
  const size_t begin = word.find_first_not_of('-');
  return begin == 2 || (begin == 1 && (word[1] < '0' || word[1] > '9'));
}

/// A command with what CLI11 knows it by.
struct Node {
  const Command* command;
  CLI::App* app;
  std::string path;                        ///< "trainer config diff"
  std::vector<CLI::Option*> options = {};  ///< of its flags
  std::vector<Node> subcommands = {};
  size_t reported = 0;  ///< how many of the words that nothing took have been looked at

  const Flag* find(const std::string& name) const {
    const auto at = std::ranges::find(options, app->get_option_no_throw(name));
    return at == options.end() ? nullptr : &command->flags[static_cast<size_t>(at - options.begin())];
  }
};

/// Words in the form in which CLI11 has rules for all of them: exactly one after each flag that needs a value, the flag
/// before each of its pairs, `--` before another program's command line; no underscores in names.
class Rewritten {
 public:
  Rewritten(const Node& root, const Words& words) : words_(words), node_(&root) {
    while (next_ < words_.size()) word();
  }
  Words result;

 private:
  void word() {
    const std::string word = normalised(words_[next_++]), name = word.substr(0, word.find('='));
    const Flag* flag = is_flag(word) ? node_->find(name) : nullptr;
    if (word == "--" || begins_program(word, name, flag)) {
      result.push_back("--");
      result.insert(result.end(),
                    words_.begin() + static_cast<std::ptrdiff_t>(next_) - (word == "--" ? 0 : 1),
                    words_.end());
      next_ = words_.size();
    } else if (flag != nullptr && flag->pairs) {
      pairs(name);
    } else if (flag != nullptr && !flag->type.empty() && !flag->alone) {
      if (name.size() < word.size()) {  // CLI11 takes --tag= for --tag, and -n=3 for the value "=3"
        give(name, word.substr(name.size() + 1));
      } else {
        const bool follows = next_ < words_.size() && !is_known(words_[next_]);
        give(name, follows ? words_[next_++] : no_value);
      }
    } else {
      const auto sub =
          std::ranges::find(node_->subcommands, word, [](const Node& n) { return n.command->name; });
      if (sub != node_->subcommands.end()) node_ = &*sub;
      result.push_back(word);
    }
  }

  bool begins_program(const std::string& word, const std::string& name, const Flag* flag) const {
    const Command& command = *node_->command;
    if (!std::ranges::any_of(command.flags, &Flag::program)) return false;
    return !is_flag(word) || (flag == nullptr && std::ranges::count(command.program_flags, name) > 0);
  }

  bool is_known(const std::string& next) const {
    const std::string word = normalised(next);
    return word.starts_with("--") &&
           node_->app->get_option_no_throw(word.substr(0, word.find('='))) != nullptr;
  }

  /// A word with = in the place of a key is a pair of its own; one that begins with -- there is the next flag.
  void pairs(const std::string& name) {
    while (next_ < words_.size() && !words_[next_].starts_with("--")) {
      const std::string& key = words_[next_++];
      const size_t equals = key.find('=');
      give(name, key.substr(0, equals));
      if (equals != key.npos) {
        give(name, key.substr(equals + 1));
      } else if (next_ < words_.size()) {  // else whoever reads the pairs complains
        give(name, words_[next_++]);
      }
    }
  }

  void give(const std::string& name, const std::string& value) { result.insert(result.end(), {name, value}); }

  const Words& words_;
  size_t next_ = 0;
  const Node* node_;
};

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

void take_word(const Flag& flag, const std::string& word) {
  if (!flag.choices.empty() && std::ranges::find(flag.choices, word) == flag.choices.end()) {
    std::string known;
    for (const std::string& name : flag.choices) known += (known.empty() ? "" : ", ") + name;
    fail(Exit::usage, "{} {}: expected one of {}{}", name_of(flag), printable(word), known,
         did_you_mean(word, flag.choices));
  }
  flag.take(word);
}

class Parser {
 public:
  explicit Parser(const Command& root) : root_{&root, &app_, root.name} { add(root_); }

  int run(const Words& given) {
    Words words = Rewritten(root_, given).result;
    std::ranges::reverse(words);  // CLI11 wants the last word first
    try {
      app_.parse(words);
      report_unknown(root_);
    } catch (const CLI::CallForHelp&) {
      std::fputs(help_text(*used_->command, used_->path).c_str(), stdout);
      return 0;
    } catch (const CLI::CallForVersion&) {
      std::puts(root_.command->version().c_str());
      return 0;
    } catch (const CLI::RequiredError&) {
      report_unknown(root_);
      report_missing();
    } catch (const CLI::ParseError& e) {
      report_unknown(root_);
      problems_.emplace_back(e.what());
    }
    for (size_t i = 0; i < used_->options.size(); ++i) take(used_->command->flags[i], *used_->options[i]);
    if (problems_.empty()) return used_->command->run();
    if (used_->command->refuse) used_->command->refuse(problems_);
    std::string text;
    for (const std::string& problem : problems_) text += (text.empty() ? "" : "\n") + problem;
    throw Error(Exit::usage, text);
  }

 private:
  template <class... A>
  void problem(fmt::format_string<A...> text, A&&... a) {
    problems_.push_back(fmt::format(text, std::forward<A>(a)...));
  }

  void add(Node& node) {
    const Command& command = *node.command;
    node.app->allow_extras()->require_subcommand(command.run ? 0 : 1, 1);
    if (command.version) node.app->set_version_flag("--version", "");
    for (size_t i = 0; i < command.flags.size(); ++i) {
      const auto said = [this, &node, i](const CLI::results_t& words) {
        check_given(node, i, words.back());
        return true;
      };
      node.options.push_back(
          with_rules(*node.app->add_option(command.flags[i].name, said), command.flags[i]));
    }
    node.subcommands.reserve(command.subcommands.size());  // they are pointed to
    for (const Command& sub : command.subcommands) {
      node.subcommands.push_back({&sub, node.app->add_subcommand(sub.name), node.path + " " + sub.name});
      Node& below = node.subcommands.back();
      below.app->preparse_callback([this, &below](size_t) { enter(below); });
      add(below);
    }
  }

  /// `said` is called where the flag stands, so that mistakes are told in the order of the words.
  static CLI::Option* with_rules(CLI::Option& option, const Flag& flag) {
    option.envname(flag.variable)->required(flag.required);
    if (flag.many || flag.program) return option.expected(1 << 20)->take_all();  // -1 would take [a,b] apart
    if (is_argument(flag)) return &option;
    if (flag.pairs) return option.take_all();
    option.take_last()->trigger_on_parse();
    if (flag.alone) return option.expected(0, 1)->default_str(*flag.alone);
    return flag.type.empty() ? option.expected(0) : &option;
  }

  void enter(Node& sub) {
    report_unknown(*used_);
    for (size_t i = 0; i < used_->options.size(); ++i) {
      if (used_->options[i]->count() > 0)
        problem("{} before '{}' has no effect: flags come after the subcommand",
                name_of(used_->command->flags[i]), sub.command->name);
    }
    used_ = &sub;
  }

  static bool is_from_words(const CLI::App& app, const CLI::Option& option) {
    return std::ranges::count(app.parse_order(), &option) > 0;
  }

  void check_given(Node& node, size_t i, const std::string& word) {
    const Flag& flag = node.command->flags[i];
    if (!is_from_words(*node.app, *node.options[i])) return;
    report_unknown(node);
    if (word == no_value) problem("{}: expected {} after it", name_of(flag), flag.type);
    if (flag.type.empty() && word != "true" && word != "false")
      problem("{}={}: takes no value", name_of(flag), printable(word));
  }

  void report_unknown(Node& node) {
    const Words words = node.app->remaining();
    bool may_be_value = false;
    for (; node.reported < words.size(); ++node.reported) {
      const std::string& word = words[node.reported];
      if (word == "--" || (may_be_value && !is_flag(word))) continue;
      may_be_value = is_flag(word) && word.find('=') == word.npos;
      unknown(is_flag(word) ? word.substr(0, word.find('=')) : word);
    }
    for (Node& sub : node.subcommands) report_unknown(sub);
  }

  void unknown(const std::string& word) {
    Words known{"--help"};
    for (const Flag& flag : used_->command->flags) {
      if (flag.hidden || is_argument(flag)) continue;
      for (std::string& name : names_of(flag)) known.push_back(std::move(name));
    }
    for (const Command& sub : used_->command->subcommands) known.push_back(sub.name);
    known.insert(known.end(), used_->command->program_flags.begin(), used_->command->program_flags.end());
    std::string hint = did_you_mean(word, known);
    if (hint.empty()) hint = fmt::format(" (see {} --help)", used_->path);
    problem("unknown argument {}{}", printable(word), hint);
  }

  void report_missing() {
    std::string subs;
    for (size_t i = 0; i < used_->options.size(); ++i) {
      const Flag& flag = used_->command->flags[i];
      if (flag.required && used_->options[i]->count() == 0)
        problem("{} is missing (see {} --help)", name_of(flag), used_->path);
    }
    for (const Command& sub : used_->command->subcommands) subs += (subs.empty() ? "" : ", ") + sub.name;
    if (problems_.empty()) problem("{}: expected one of {}", used_->path, subs);
  }

  void take(const Flag& flag, const CLI::Option& option) {
    const bool is_switch = flag.type.empty(), from_words = is_from_words(*used_->app, option);
    for (const std::string& word : option.results()) {
      if (word == no_value || (is_switch && from_words && word != "true" && word != "false")) continue;
      try {
        if (is_switch && !from_words) {
          take_word(flag, truth(flag, word));
        } else {
          take_word(flag, word.empty() && flag.alone ? *flag.alone : word);
        }
      } catch (const Error& e) {
        if (e.code() != Exit::usage) throw;
        problems_.push_back((is_switch || from_words ? "" : flag.variable + ": ") + e.what());
      }
    }
  }

  CLI::App app_;
  Node root_;
  Node* used_ = &root_;
  Words problems_;
};

}  // namespace

int run(const Command& root, const std::vector<std::string>& words) { return Parser(root).run(words); }

}  // namespace trainer::cli
