#include "apps/cli/help.h"

#include <algorithm>

namespace trainer::cli {
namespace {

struct Row {
  std::string head, help;
};

/// A heading and its rows, the help of all beginning in one column where that is not too far to the right.
std::string section(const std::string& heading, const std::vector<Row>& rows) {
  constexpr size_t most = 36;
  size_t wide = 0;
  for (const Row& row : rows) {
    if (row.head.size() <= most) wide = std::max(wide, row.head.size());
  }
  std::string text = rows.empty() ? "" : fmt::format("\n{}:\n", heading);
  for (const Row& row : rows) {
    const bool fits = row.head.size() <= wide;
    text += fmt::format("  {:<{}}", row.head, fits ? wide : 0);
    if (!row.help.empty()) text += (fits ? "  " : fmt::format("\n{:{}}", "", wide + 4)) + row.help;
    while (text.ends_with(' ')) text.pop_back();
    text += "\n";
  }
  return text;
}

}  // namespace

std::string synopsis(const Command& command, const std::string& path,
                     const std::function<std::string(const std::string&)>& emphasise,
                     const std::function<std::string(const std::string&)>& vary) {
  std::string text = emphasise(path);
  for (const Flag& flag : command.flags) {
    if (flag.required && !is_argument(flag)) text += " " + emphasise(name_of(flag)) + " " + vary(flag.type);
  }
  if (std::ranges::any_of(command.flags, [](const Flag& f) { return !f.required && !is_argument(f); }))
    text += " [" + vary("option") + " ...]";
  for (const Flag& flag : command.flags) {
    if (!is_argument(flag)) continue;
    const std::string name = vary(flag.name) + (flag.many ? " ..." : "");
    text += flag.required ? " " + name : " [" + name + "]";
    if (flag.program) text += " [" + vary("its arguments") + " ...]";
  }
  return text;
}

std::string help_text(const Command& command, const std::string& path) {
  const auto plain = [](const std::string& word) { return word; };
  std::string text = command.help + "\n";
  const std::string before = "Usage: ";
  if (command.run) text += before + synopsis(command, path, plain, plain) + "\n";
  if (!command.subcommands.empty())
    text += (command.run ? std::string(before.size(), ' ') : before) + path + " SUBCOMMAND [argument ...]\n";

  std::vector<Row> arguments, subcommands;
  std::vector<std::pair<std::string, std::vector<Row>>> groups{{"Options", {{"-h,--help", "this help"}}}};
  if (command.version) groups[0].second.push_back({"--version", "which version this is"});
  for (const Flag& flag : command.flags) {
    if (flag.hidden) continue;
    if (is_argument(flag)) {
      arguments.push_back({flag.name, flag.help});
      continue;
    }
    const std::string name = flag.group.empty() ? "Options" : flag.group;
    auto group = std::ranges::find(groups, name, [](const auto& g) { return g.first; });
    if (group == groups.end()) group = groups.insert(groups.end(), {name, {}});
    const std::string type = flag.type.empty() ? "" : " " + flag.type;
    group->second.push_back({flag.name + type + (flag.required ? " (required)" : ""), flag.help});
  }
  for (const Command& sub : command.subcommands) subcommands.push_back({sub.name, sub.help});
  text += section("Arguments", arguments);
  for (const auto& [name, rows] : groups) text += section(name, rows);
  text += section("Subcommands", subcommands);
  return text + "\n" + command.examples + "\n";
}

}  // namespace trainer::cli
