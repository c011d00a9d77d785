// trainer man: pages for man(1), made from the tables of the command line.
#include <algorithm>
#include <cctype>
#include <cstdio>
#include <span>

#include "apps/trainer/command.h"

namespace trainer::app {
namespace {

/// A line of a section, and the commands whose pages have it; "trainer" is the program's own page, which has all.
struct Fact {
  const char *name, *text, *commands;
};

const Fact exits[] = {
    {"0", "done", ""},
    {"1", "a bug of the program", ""},
    {"2", "the command line or the configuration", ""},
    {"3", "data", ""},
    {"4", "a checkpoint or weights file", ""},
    {"5", "training diverged: the loss is not finite", ""},
    {"6", "another process of the run, or the connection to it, failed", ""},
    {"130, 143", "interrupted or terminated, after saving: the same command goes on", ""},
    {"134", "a process hangs", ""},
};

const Fact files[] = {
    {"OUTPUT/MODEL.NAME/TAG/", "a run's directory; OUTPUT is output unless it is set",
     "inspect predict config"},
    {"config.yaml", "in it: the merged configuration; trainer --cfg config.yaml --tag again is the same run",
     "config predict"},
    {"derived.yaml", "in it: what was computed from the configuration", ""},
    {"metrics.jsonl", "in it: a JSON object a line, of kind train or eval", ""},
    {"log.txt, tb/", "in it: the log, and the curves for TensorBoard", ""},
    {"checkpoints/",
     "in it: a folder for each step that was saved, with model.safetensors (timm's names, PyTorch's "
     "layout); best and latest are files that name one of them",
     "inspect predict"},
};

const Fact environment[] = {
    {"NO_COLOR", "no colours on a terminal", "devices models inspect config predict bench"},
    {"GOMP_SPINCOUNT, OMP_WAIT_POLICY",
     "how long compute threads wait for each other by spinning; unless one of them is set, the program sets "
     "the first "
     "to 4000",
     "predict"},
    {"RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT",
     "this process' place in a run of several, as trainer-launch and torchrun set them; under srun and "
     "mpirun theirs "
     "are read",
     ""},
    {"GLOO_SOCKET_IFNAME", "the network interface that reaches the other machines", ""},
    {"PYTHON", "the Python with PyTorch and timm that bench measures beside", "bench"},
};

const char* const about =
    "Without a command it trains. The configuration is a tree of keys (trainer config keys), each of which "
    "has a default; "
    "the file of --cfg is laid over them after those that its key BASE names, then --opts, then the flags "
    "below; the last "
    "one that sets a key wins. Underscores and dashes in flags are the same.";

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

bool is_argument(const Flag& flag) { return !flag.name.starts_with("-"); }

std::string synopsis(const Command& command, const std::string& path) {
  std::string text = bold(path);
  for (const Flag& flag : command.flags) {
    if (flag.required && !is_argument(flag)) text += " " + bold(flag.name) + " " + italic(flag.type);
  }
  if (std::ranges::any_of(command.flags, [](const Flag& f) { return !f.required && !is_argument(f); }))
    text += " [" + italic("option") + " ...]";
  for (const Flag& flag : command.flags) {
    if (!is_argument(flag)) continue;
    const std::string name = italic(flag.name) + (flag.many ? " ..." : "");
    text += flag.required ? " " + name : " [" + name + "]";
  }
  return text + "\n";
}

/// Each argument and flag, with the values that it may have where they are few.
std::string options(const Command& command) {
  std::string text;
  for (const Flag& flag : command.flags) {
    if (flag.hidden) continue;
    std::string head = is_argument(flag) ? italic(flag.name) : bold(flag.name);
    if (!is_argument(flag) && !flag.type.empty()) head += " " + italic(flag.type);
    std::string help = flag.help;
    for (const std::string& word : flag.choices) {
      if (&word == &flag.choices.front()) help += "; one of";
      help += (&word == &flag.choices.front() ? " " : ", ") + word;
    }
    text += item(head, help + (flag.required ? " (required)" : ""));
  }
  return text + item(bold("-h") + ", " + bold("--help"), "print help");
}

std::string facts(const char* heading, std::span<const Fact> all, const std::string& page) {
  std::string text;
  for (const Fact& fact : all) {
    const std::string commands = fmt::format(" {} ", fact.commands);
    if (page == "trainer" || commands.find(" " + page + " ") != commands.npos)
      text += item(bold(fact.name), fact.text);
  }
  return text.empty() ? "" : fmt::format(".SH {}\n{}", heading, text);
}

/// Of config: its subcommands have no pages of their own.
std::string subsection(const Command& command, const std::string& path) {
  const Parts parts = parts_of(command);
  std::string text =
      ".SS " + escaped(path) + "\n" + synopsis(command, path) + ".PP\n" + escaped(command.help) + "\n";
  if (!parts.prose.empty()) text += ".PP\n" + escaped(parts.prose) + "\n";
  text += options(command);
  return parts.examples.empty() ? text : text + ".PP\n" + verbatim(parts.examples);
}

std::string page(const Command& command, const Command& root) {
  const bool whole = &command == &root;
  const std::string path = whole ? root.name : root.name + " " + command.name;
  const std::string name = whole ? root.name : root.name + "-" + command.name;
  const Parts parts = parts_of(command);
  std::string version = version_text();
  version = version.substr(0, version.find(" ("));

  std::string title = name;
  std::ranges::transform(title, title.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  std::string text =
      fmt::format(".TH {} 1 \"\" \"{}\" \"{} manual\"\n", escaped(title), escaped(version), root.name);
  text += ".SH NAME\n" + escaped(name) + " \\- " + escaped(command.help) + "\n.SH SYNOPSIS\n";
  if (command.run) text += synopsis(command, path);
  if (whole) text += ".br\n" + bold(path) + " " + italic("command") + " [" + italic("argument") + " ...]\n";
  for (const Command& sub : command.subcommands) {
    if (!whole)
      text += (&sub == &command.subcommands.front() ? "" : ".br\n") + synopsis(sub, path + " " + sub.name);
  }
  text += ".SH DESCRIPTION\n" + escaped(command.help) + "\n";
  if (whole) text += ".PP\n" + escaped(about) + "\n";
  if (!parts.prose.empty()) text += ".PP\n" + escaped(parts.prose) + "\n";
  if (whole) {
    text += ".SH COMMANDS\n";
    for (const Command& sub : root.subcommands)
      text += item(bold(root.name + "-" + sub.name) + "(1)", sub.help);
  } else {
    for (const Command& sub : command.subcommands)
      text += (&sub == &command.subcommands.front() ? ".SH COMMANDS\n" : "") +
              subsection(sub, path + " " + sub.name);
  }
  text += ".SH OPTIONS\n" + options(command);
  if (whole) text += item(bold("--version"), "print version, compiler, libraries and devices");
  if (!parts.examples.empty()) text += ".SH EXAMPLES\n" + verbatim(parts.examples);
  text += facts("EXIT STATUS", exits, "trainer") + facts("FILES", files, whole ? "trainer" : command.name) +
          facts("ENVIRONMENT", environment, whole ? "trainer" : command.name) + ".SH SEE ALSO\n";
  std::string others;
  for (const Command& sub : root.subcommands) {
    if (&sub != &command) others += (others.empty() ? "" : ",\n") + bold(root.name + "-" + sub.name) + "(1)";
  }
  return text + (whole ? others : bold(root.name) + "(1)") + "\n";
}

struct Flags {
  std::string command;
  bool list = false;
};

int print(const Flags& flags) {
  const Command root = root_command({}, {});
  for (const Command& sub : root.subcommands) {
    if (flags.list) std::puts(sub.name.c_str());
    if (!flags.list && flags.command == sub.name) std::fputs(page(sub, root).c_str(), stdout);
  }
  if (!flags.list && flags.command.empty()) std::fputs(page(root, root).c_str(), stdout);
  return 0;
}

}  // namespace

Command man_command(const std::vector<Command>& others) {
  auto flags = std::make_shared<Flags>();
  Flag command = text("COMMAND", "COMMAND", "a command; the program's own page if left out", flags->command);
  for (const Command& other : others) command.choices.push_back(other.name);
  command.choices.push_back("man");
  return {.name = "man",
          .help = "a page of the manual, for man(1)",
          .examples = R"(`cmake --install` puts all of them where man finds them; without it:

Examples:
  trainer man | man -l -
  trainer man config | man -l -
  trainer man predict > trainer-predict.1)",
          .flags = {std::move(command), toggle("--list", "the commands that have pages", flags->list)},
          .run = [flags] { return print(*flags); }};
}

}  // namespace trainer::app
