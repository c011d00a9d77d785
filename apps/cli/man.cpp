#include "apps/cli/man.h"

#include <algorithm>
#include <cctype>

#include "apps/cli/help.h"

namespace trainer::cli {
namespace {

/// Text as roff takes it literally: \ and - have meanings of their own, as have . and ' that begin a line.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n')) out += "\\&";
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else if (c == '\'') {
      out += "\\(aq";
    } else if (c == '~') {
      out += "\\(ti";
    } else if (c == '`') {
      out += "\\(ga";
    } else {
      out += c;
    }
  }
  return out;
}

std::string bold(const std::string& text) { return "\\fB" + escaped(text) + "\\fR"; }
std::string italic(const std::string& text) { return "\\fI" + escaped(text) + "\\fR"; }

std::string item(const std::string& head, const std::string& text) {
  return ".TP\n" + head + "\n" + escaped(text) + "\n";
}

std::string verbatim(const std::string& text) { return ".nf\n" + escaped(text) + "\n.fi\n"; }

/// A command's examples are prose, where it needs any, before the line "Examples:".
struct Parts {
  std::string prose, examples;
};

Parts parts_of(const Command& command) {
  const std::string heading = "Examples:\n";
  const size_t at = command.examples.find(heading);
  if (at == std::string::npos) return {command.examples, ""};
  std::string prose = command.examples.substr(0, at);
  while (prose.ends_with('\n')) prose.pop_back();
  return {prose, command.examples.substr(at + heading.size())};
}

std::string synopsis_line(const Command& command, const std::string& path) {
  return synopsis(command, path, bold, italic) + "\n";
}

/// Each argument and flag, with the values that it may have where they are few.
std::string options(const Command& command) {
  std::string text;
  for (const Flag& flag : command.flags) {
    if (flag.hidden) continue;
    std::string head = is_argument(flag) ? italic(flag.name) : "";
    if (!is_argument(flag)) {
      for (const std::string& name : names_of(flag)) head += (head.empty() ? "" : ", ") + bold(name);
    }
    if (!is_argument(flag) && !flag.type.empty()) head += " " + italic(flag.type);
    std::string help = flag.help;
    for (const std::string& word : flag.choices) {
      if (&word == &flag.choices.front()) help += "; one of";
      help += (&word == &flag.choices.front() ? " " : ", ") + word;
    }
    text += item(head, help + (flag.required ? " (required)" : ""));
  }
  if (command.version) text += item(bold("--version"), "print which version this is");
  return text + item(bold("-h") + ", " + bold("--help"), "print help");
}

std::string facts(const char* heading, std::span<const Fact> all, const std::string& page,
                  const std::string& root) {
  std::string text;
  for (const Fact& fact : all) {
    const std::string commands = fmt::format(" {} ", fact.commands);
    if (page == root || commands.find(" " + page + " ") != commands.npos)
      text += item(bold(fact.name), fact.text);
  }
  return text.empty() ? "" : fmt::format(".SH {}\n{}", heading, text);
}

/// Of config: its subcommands have no pages of their own.
std::string subsection(const Command& command, const std::string& path) {
  const Parts parts = parts_of(command);
  std::string text =
      ".SS " + escaped(path) + "\n" + synopsis_line(command, path) + ".PP\n" + escaped(command.help) + "\n";
  if (!parts.prose.empty()) text += ".PP\n" + escaped(parts.prose) + "\n";
  text += options(command);
  return parts.examples.empty() ? text : text + ".PP\n" + verbatim(parts.examples);
}

}  // namespace

std::string man_page(const Manual& manual, const Command& command) {
  const Command& root = manual.root;
  const bool whole = &command == &root;
  const std::string path = whole ? root.name : root.name + " " + command.name;
  const std::string name = whole ? root.name : root.name + "-" + command.name;
  const Parts parts = parts_of(command);
  std::string version = root.version();
  version = version.substr(0, version.find_first_of("(\n"));
  while (version.ends_with(' ')) version.pop_back();

  std::string title = name;
  std::ranges::transform(title, title.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  std::string text =
      fmt::format(".TH {} 1 \"\" \"{}\" \"{} manual\"\n", escaped(title), escaped(version), root.name);
  text += ".SH NAME\n" + escaped(name) + " \\- " + escaped(command.help) + "\n.SH SYNOPSIS\n";
  if (command.run) text += synopsis_line(command, path);
  const bool has_commands = whole && !root.subcommands.empty();
  if (has_commands)
    text += ".br\n" + bold(path) + " " + italic("command") + " [" + italic("argument") + " ...]\n";
  for (const Command& sub : command.subcommands) {
    if (!whole)
      text +=
          (&sub == &command.subcommands.front() ? "" : ".br\n") + synopsis_line(sub, path + " " + sub.name);
  }
  text += ".SH DESCRIPTION\n" + escaped(command.help) + "\n";
  if (whole) text += ".PP\n" + escaped(manual.about) + "\n";
  if (!parts.prose.empty()) text += ".PP\n" + escaped(parts.prose) + "\n";
  if (has_commands) {
    text += ".SH COMMANDS\n";
    for (const Command& sub : root.subcommands)
      text += item(bold(root.name + "-" + sub.name) + "(1)", sub.help);
  } else {
    for (const Command& sub : command.subcommands)
      text += (&sub == &command.subcommands.front() ? ".SH COMMANDS\n" : "") +
              subsection(sub, path + " " + sub.name);
  }
  text += ".SH OPTIONS\n" + options(command);
  if (!parts.examples.empty()) text += ".SH EXAMPLES\n" + verbatim(parts.examples);
  const std::string place = whole ? root.name : command.name;
  text += facts("EXIT STATUS", manual.exits, root.name, root.name) +
          facts("FILES", manual.files, place, root.name) +
          facts("ENVIRONMENT", manual.environment, place, root.name) + ".SH SEE ALSO\n";
  std::string others;
  for (const Command& sub : root.subcommands) {
    if (&sub != &command) others += (others.empty() ? "" : ",\n") + bold(root.name + "-" + sub.name) + "(1)";
  }
  for (const std::string& other : manual.see_also)
    others += (others.empty() ? "" : ",\n") + bold(other) + "(1)";
  return text + (whole ? others : bold(root.name) + "(1)") + "\n";
}

}  // namespace trainer::cli
