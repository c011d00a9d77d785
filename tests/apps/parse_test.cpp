// Words of the command line to flags: apps/cli/parse.h.
#include "apps/cli/parse.h"

#include <cstdlib>
#include <map>

#include "apps/cli/help.h"
#include "tests/error_of.h"

using namespace trainer;
using namespace trainer::cli;
using Words = std::vector<std::string>;

namespace {

/// A command with one flag of each kind, and what they were given.
struct Tool {
  Words opts, files, program;
  std::string tag, mode = "none", file, measured;
  int64_t count = 0;
  bool fast = false;
  int runs = 0;
  Command command;

  Tool() {
    Flag pairs{"--opts", "KEY VALUE ...", "pairs", [this](const std::string& word) { opts.push_back(word); }};
    pairs.pairs = true;
    Flag measure = text("--measure", "[short|long]", "measures", measured);
    measure.alone = "short";
    Flag env = text("--file", "FILE", "a file", file);
    env.variable = "TRAINER_TEST_TOOL_FILE";
    Flag rest{"FILES", "FILE ...", "files", [this](const std::string& word) { files.push_back(word); }};
    rest.many = true;
    Flag needed = number("-n,--count", "N", "how many", count, 1, 9);
    needed.required = true;
    Flag words{"PROGRAM", "PROGRAM", "a program",
               [this](const std::string& word) { program.push_back(word); }};
    words.program = true;
    const auto run = [this] { return ++runs; };
    command = {.name = "tool",
               .help = "A tool.",
               .examples = "Examples:\n  tool",
               .flags = {std::move(pairs), text("--tag", "NAME", "a name", tag),
                         choice("--mode", "MODE", "a mode", mode, {"fast", "slow"}),
                         toggle("--fast", "fast", fast), std::move(measure), std::move(env)},
               .run = run,
               .subcommands = {
                   {"list", "lists", "Examples:\n  tool list", {std::move(needed), std::move(rest)}, run},
                   {"start", "starts", "Examples:\n  tool start", {std::move(words)}, run}}};
    command.subcommands[1].program_flags = {"--cfg"};
  }
  /// Runs it; "" or what is wrong.
  std::string problems(const Words& words) {
    try {
      cli::run(command, words);
      return "";
    } catch (const Error& e) {
      CHECK(e.code() == Exit::usage);
      return e.what();
    }
  }
  void accept(const Words& words) { CHECK(problems(words).empty()); }
};

Words opts_of(const Words& words) {
  Tool tool;
  tool.accept(words);
  return tool.opts;
}

}  // namespace

TEST_CASE("flag --opts: pairs up to the next flag in key position") {
  Tool tool;
  tool.accept({"--tag", "x", "--opts", "A", "1", "B.C", "two", "--fast"});
  CHECK(tool.opts == Words{"A", "1", "B.C", "two"});
  CHECK(tool.fast);
}

TEST_CASE("flag --opts: values may begin with dashes") {
  Tool tool;
  tool.accept({"--opts", "A", "-1", "B", "--value", "C", "--fast", "--tag", "t"});
  CHECK(tool.opts == Words{"A", "-1", "B", "--value", "C", "--fast"});
  CHECK(tool.tag == "t");
  CHECK_FALSE(tool.fast);
}

TEST_CASE("flag --opts: KEY=VALUE is a pair of its own, split at the first =") {
  CHECK(opts_of({"--opts", "A=1", "B", "2", "C=x=y", "D="}) ==
        Words{"A", "1", "B", "2", "C", "x=y", "D", ""});
  CHECK(opts_of({"--opts", "A", "x=y"}) == Words{"A", "x=y"});  // in the place of a value
}

TEST_CASE("flag --opts may come anywhere, repeat and be empty") {
  Tool tool;
  tool.accept({"--opts", "A", "1", "--opts", "A", "2", "--tag", "t", "--opts"});
  CHECK(tool.opts == Words{"A", "1", "A", "2"});
  CHECK(tool.tag == "t");
}

TEST_CASE("flag --opts: a key without a value is kept for who reads the pairs") {
  CHECK(opts_of({"--opts", "A", "1", "B"}) == Words{"A", "1", "B"});
}

TEST_CASE("underscores in flags are dashes, in values they stay") {
  Tool tool;
  tool.accept({"list", "--count=1"});
  CHECK(normalised("--batch_size=a_b") == "--batch-size=a_b");
  CHECK(normalised("a_b") == "a_b");
  CHECK(opts_of({"--opts", "A_B", "c_d"}) == Words{"A_B", "c_d"});
}

TEST_CASE("values: the next word or after =, the last one counts") {
  Tool tool;
  tool.accept({"--tag", "a", "--tag=-b", "--mode", "slow"});
  CHECK(tool.tag == "-b");
  CHECK(tool.mode == "slow");
  tool.accept({"--tag", "--other"});  // no flag of ours, so a value
  CHECK(tool.tag == "--other");
  tool.accept({"--tag", "list"});  // no subcommand here
  CHECK(tool.tag == "list");
  tool.accept({"--tag="});
  CHECK(tool.tag.empty());
  tool.accept({"list", "-n3", "a", "-n", "4", "b", "--", "-c"});
  CHECK(tool.count == 4);
  CHECK(tool.files == Words{"a", "b", "-c"});
}

TEST_CASE("a flag that is not given changes nothing") {
  Tool tool;
  tool.accept({});
  CHECK(tool.runs == 1);
  CHECK(tool.mode == "none");
  CHECK_FALSE(tool.fast);
}

TEST_CASE("a value that may be left out") {
  const auto measured = [](const Words& words) {
    Tool tool;
    tool.accept(words);
    return tool.measured;
  };
  CHECK(measured({"--measure"}) == "short");
  CHECK(measured({"--measure", "long"}) == "long");
  CHECK(measured({"--measure=long"}) == "long");
  CHECK(measured({"--measure", ""}) == "short");
  CHECK(measured({"--measure", "--fast"}) == "short");
  CHECK(measured({"--fast"}).empty());
}

TEST_CASE("the environment has the value of a flag that is not given") {
  Tool tool;
  ::setenv("TRAINER_TEST_TOOL_FILE", "x", 1);
  tool.accept({});
  CHECK(tool.file == "x");
  tool.accept({"--file", "y"});
  ::unsetenv("TRAINER_TEST_TOOL_FILE");
  CHECK(tool.file == "y");
}

TEST_CASE("another program's command line begins at the first word that is no flag") {
  const auto program = [](Words words) {
    Tool tool;
    words.insert(words.begin(), "start");
    tool.accept(words);
    return tool.program;
  };
  CHECK(program({"run.py", "--help", "--fast"}) == Words{"run.py", "--help", "--fast"});
  CHECK(program({"--", "--fast"}) == Words{"--fast"});
  CHECK(program({"--cfg", "x_y"}) == Words{"--cfg", "x_y"});
}

TEST_CASE("everything that is wrong is said, in the order of the words") {
  Tool tool;
  CHECK(tool.problems({"--fats", "--mode", "sloow", "--fast=3", "--frobnicate", "1", "--tag"}) ==
        "unknown argument --fats (did you mean --fast?)\n"
        "--fast=3: takes no value\n"
        "unknown argument --frobnicate (see tool --help)\n"
        "--tag: expected NAME after it\n"
        "--mode sloow: expected one of fast, slow (did you mean slow?)");
  CHECK(tool.problems({"--tag", "--fast"}) == "--tag: expected NAME after it");
  CHECK(tool.problems({"--fast", "list", "-n", "12"}) ==
        "--fast before 'list' has no effect: flags come after the subcommand\n"
        "-n,--count 12: expected a whole number from 1 to 9");
  CHECK(tool.problems({"list"}) == "--count is missing (see tool list --help)");
  CHECK(tool.problems({"list", "--count", "--bad"}) ==
        "-n,--count --bad: expected a whole number from 1 to 9");
  CHECK(tool.problems({"list", "-x", "-n"}) ==
        "unknown argument -x (see tool list --help)\n--count: expected N after it");
  CHECK(tool.problems({"lits"}) == "unknown argument lits (did you mean list?)");
  CHECK(tool.runs == 0);
}

TEST_CASE("--help of all kinds of flags") {
  const Tool tool;
  CHECK_THAT(help_text(tool.command, "tool"), ContainsSubstring("A tool.\nUsage: tool [option ...]\n") &&
                                                  ContainsSubstring("\n  --tag NAME") &&
                                                  ContainsSubstring("Subcommands:\n  list   lists\n") &&
                                                  ContainsSubstring("Examples:\n  tool"));
  CHECK_THAT(help_text(tool.command.subcommands[0], "tool list"),
             ContainsSubstring("Usage: tool list --count N [FILES ...]\n") &&
                 ContainsSubstring("  -n,--count N (required)  how many\n"));
  CHECK_THAT(help_text(tool.command.subcommands[1], "tool start"),
             ContainsSubstring("Usage: tool start [PROGRAM] [its arguments ...]\n"));
}
