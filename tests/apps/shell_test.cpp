// What other programs make of the command line's tables: completion in shells, pages of the manual.
#include <cstdlib>

#include "apps/cli/completion.h"
#include "apps/trainer/keys.h"
#include "lib/config/declare.h"
#include "tests/apps/program.h"
#include "tests/support/bash.h"

using namespace program;

namespace {

bool has(const std::vector<std::string>& lines, const std::string& line) {
  return std::ranges::find(lines, line) != lines.end();
}

Bash bash_with_script() { return Bash(succeed({"completion", "bash"}).out); }

/// Each command as the words that name it, the program itself first.
std::vector<Words> all_commands(const Bash& bash) {
  std::vector<Words> all{{}};
  for (size_t i = 0; i < all.size(); ++i) {
    std::string path = "trainer";
    for (const std::string& word : all[i]) path += " " + word;
    for (const std::string& name : bash.entry(path + ":commands")) {
      all.push_back(all[i]);
      all.back().push_back(name);
    }
  }
  return all;
}

}  // namespace

TEST_CASE("completion bash: is a script for bash, and offers commands, flags and their values") {
  const Bash bash = bash_with_script();
  CHECK(Process({"bash", "-n", bash.script()}).wait().code == 0);
  CHECK(bash.offers({"trainer", "mo"}) == Words{"models"});
  CHECK(bash.offers({"trainer", "config", "di"}) == Words{"diff"});
  CHECK(bash.offers({"trainer", "--dump"}) == Words{"--dump-config"});
  CHECK(bash.offers({"trainer", "--batch_s"}) == Words{"--batch-size"});  // as Swin writes it
  CHECK(bash.offers({"trainer", "bench", "--no"}) == Words{"--no-compile"});
  CHECK(bash.offers({"trainer", "devices", "--format", "cs"}) == Words{"csv", "csv,noheader"});
  CHECK(bash.offers({"trainer", "--throughput", "e"}) == Words{"eval"});
  CHECK(bash.offers({"trainer", "--throughput", "--dump"}) == Words{"--dump-config"});
  CHECK(bash.offers({"trainer", "--resume", "n"}) == Words{"none"});
  CHECK(bash.offers({"trainer", "--optim", "ad"}) == Words{"adamw"});
  CHECK(bash.offers({"trainer", "completion", ""}) == Words{"bash", "zsh", "fish"});
  CHECK(bash.offers({"trainer", "predict", "--model", "mobilenetv2_14"}) == Words{"mobilenetv2_140"});
  CHECK(has(bash.offers({"trainer", ""}), "predict"));
  CHECK(has(bash.offers({"trainer", "man", ""}), "man"));
  CHECK(has(bash.offers({"trainer", "--cfg", "x.yaml", ""}), "--opts"));
  CHECK(has(bash.offers({"trainer", "--explain", "TRAIN.OPT"}), "TRAIN.OPTIMIZER.NAME"));
  CHECK(bash.offers({"trainer", "--tag", ""}).empty());
}

TEST_CASE("completion bash: keys and values after --opts") {
  const Bash bash = bash_with_script();
  CHECK(bash.offers({"trainer", "--opts", "TRAIN.BASE"}) == Words{"TRAIN.BASE_LR"});
  CHECK(bash.offers({"trainer", "--opts", "AMP.DTYPE", ""}) == Words{"auto", "f32", "bf16", "f16"});
  CHECK(bash.offers({"trainer", "--opts", "AMP.DTYPE", "b"}) == Words{"bf16"});
  CHECK(bash.offers({"trainer", "--opts", "DETERMINISTIC", ""}) == Words{"True", "False"});
  CHECK(bash.offers({"trainer", "--opts", "MODEL.NAME", "resnet10"}) == Words{"resnet101"});
  CHECK(bash.offers({"trainer", "--opts", "DATA.DATASET", "dig"}) == Words{"digits"});
  CHECK(bash.offers({"trainer", "--opts", "TRAIN.EPOCHS", ""}).empty());
  CHECK(bash.offers({"trainer", "--opts", "TAG", "x", "DEVI"}) ==
        Words{"DEVICE"});  // keys and values take turns
  CHECK(bash.offers({"trainer", "--opts", "TAG", "--dump", "DEVI"}) == Words{"DEVICE"});
  CHECK(bash.offers({"trainer", "--opts", "TAG", "x", "--dump"}) == Words{"--dump-config"});
  CHECK(bash.offers({"trainer", "predict", "--opts", "AMP.DT"}) == Words{"AMP.DTYPE"});
}

TEST_CASE("completion bash: elements of lists after --opts") {
  const Bash bash = bash_with_script();
  CHECK(bash.offers({"trainer", "--opts", "TEST.METRICS", "[acc1,ac"}) == Words{"[acc1,acc1", "[acc1,acc5"});
  CHECK(has(bash.offers({"trainer", "--opts", "TEST.METRICS", ""}), "[acc1"));
  CHECK(bash.offers({"trainer", "--opts", "TEST.METRICS", "acc1,acc"}) == Words{"acc1,acc1", "acc1,acc5"});
  CHECK(bash.offers({"trainer", "--opts", "TRAIN.FREEZE=[back"}) == Words{"TRAIN.FREEZE=[backbone"});
  CHECK(bash.offers({"trainer", "--opts", "TRAIN.FREEZE", "=", "[back"},
                    "trainer --opts TRAIN.FREEZE=[back") == Words{"[backbone"});
  CHECK(has(bash.offers({"trainer", "--opts", "DATA.TRANSFORMS.VAL", "[auto,"}), "[auto,resize"));
  CHECK(bash.offers({"trainer", "--opts", "MODEL.MLP.HIDDEN", "["}).empty());  // numbers
}

TEST_CASE("completion bash: a group to which keys may be added is offered after --opts") {
  [[maybe_unused]] static const bool once = [] {
    trainer::config::declare_new_allowed("T_MINE.GROUP");
    return true;
  }();
  std::vector<trainer::cli::Entry> table = trainer::cli::entries_of({"trainer", "", "", {}, {}});
  for (auto& entry : trainer::app::key_entries()) table.push_back(std::move(entry));
  const Bash bash(trainer::cli::completion_script("bash", "trainer", "this test", table));
  CHECK(bash.offers({"trainer", "--opts", "T_MI"}) == Words{"T_MINE.GROUP."});
  CHECK(bash.offers({"trainer", "--opts", "T_MINE.GROUP.X", ""}).empty());  // of any type
  CHECK(bash.offers({"trainer", "--opts", "T_MINE.GROUP.X", "1", "SEE"}) == Words{"SEED"});
}

TEST_CASE("completion bash: words that readline parts at = and :") {
  const Bash bash = bash_with_script();
  CHECK(bash.offers({"trainer", "--opts", "AMP.DTYPE", "=", "b"}, "trainer --opts AMP.DTYPE=b") ==
        Words{"bf16"});
  CHECK(bash.offers({"trainer", "--opts", "AMP.DTYPE", "="}, "trainer --opts AMP.DTYPE=").size() == 4);
  CHECK(bash.offers({"trainer", "--opts", "AMP.DTYPE", "=", "f32", "DEVI"},
                    "trainer --opts AMP.DTYPE=f32 DEVI") == Words{"DEVICE"});
  CHECK(bash.offers({"trainer", "--throughput", "=", "e"}, "trainer --throughput=e") == Words{"eval"});
  CHECK(bash.offers({"trainer", "bench", "cnn", ":", ""}, "trainer bench cnn:") == Words{"f32"});
  // Where COMP_WORDBREAKS has no =, the word is whole.
  CHECK(bash.offers({"trainer", "--opts", "AMP.DTYPE=b"}, "trainer --opts AMP.DTYPE=b") ==
        Words{"AMP.DTYPE=bf16"});
}

TEST_CASE("completion bash: files and folders where a flag takes one") {
  const Bash bash = bash_with_script();
  const TempFolder folder;
  std::ofstream(folder / "exp.yaml") << "";
  fs::create_directory(folder / "exp");
  const std::string begun = (folder / "ex").string(), file = begun + "p.yaml", sub = begun + "p";
  for (const Words& words :
       {Words{"trainer", "--cfg"}, Words{"trainer", "--resume"}, Words{"trainer", "inspect"},
        Words{"trainer", "config", "diff"}, Words{"trainer", "config", "diff", "a.yaml"},
        Words{"trainer", "--opts", "DATA.DATA_PATH"}}) {
    Words all = words;
    all.push_back(begun);
    const auto offers = bash.offers(all);
    INFO(words.back());
    CHECK(has(offers, file));
    CHECK(has(offers, sub));
  }
  CHECK(bash.offers({"trainer", "--output", begun}) == Words{sub});
}

TEST_CASE("completion zsh and fish: scripts made from the same tables, which these shells can read") {
  const TempFolder folder;
  for (const std::string shell : {"zsh", "fish"}) {
    const std::string text = succeed({"completion", shell}).out;
    CHECK_THAT(text, ContainsSubstring("trainer config diff:flags") && ContainsSubstring("--batch-size") &&
                         ContainsSubstring("AMP.DTYPE") && ContainsSubstring("resnet50"));
    if (!is_installed(shell)) continue;
    std::ofstream(folder / shell) << text;
    const Outcome result = Process({shell, "-n", (folder / shell).string()}).wait();
    INFO(result.err);
    CHECK(result.code == 0);
  }
}

TEST_CASE("completion fish: what is offered, where fish is installed") {
  if (!is_installed("fish")) return;
  const TempFolder folder;
  std::ofstream(folder / "script") << succeed({"completion", "fish"}).out;
  const auto offers = [&](const std::string& line) {
    const std::string code = "source " + (folder / "script").string() + "; complete -C '" + line + "'";
    Words words = lines_of_text(Process({"fish", "--no-config", "-c", code}).wait().out);
    for (std::string& word : words) word = word.substr(0, word.find('\t'));
    return words;
  };
  CHECK(offers("trainer mo") == Words{"models"});
  CHECK(offers("trainer --dump") == Words{"--dump-config"});
  CHECK(offers("trainer --batch_s") == Words{"--batch-size"});
  CHECK(offers("trainer --opts TRAIN.BASE_L") == Words{"TRAIN.BASE_LR"});
  CHECK(offers("trainer --opts AMP.DTYPE b") == Words{"bf16"});
  CHECK(offers("trainer --opts AMP.DTYPE=b") == Words{"AMP.DTYPE=bf16"});
  CHECK(offers("trainer --opts TRAIN.FREEZE [back") == Words{"[backbone"});
  CHECK(offers("trainer devices --format csv,") == Words{"csv,noheader"});
  CHECK(offers("trainer --cfg " + (folder / "scr").string()) == Words{(folder / "script").string()});
}

TEST_CASE("completion zsh: what is offered, where zsh is installed") {
  if (!is_installed("zsh")) return;
  const TempFolder folder;
  std::ofstream(folder / "script") << succeed({"completion", "zsh"}).out;
  // In place of zsh's own functions, which need a terminal: those that print all there is to choose from.
  const std::string stubs =
      "compdef() { }; compset() { }; _files() { print files; compstate[nmatches]=1 }\n"
      "_describe() { print -rl -- ${(P)4}; compstate[nmatches]=1 }\n"
      "typeset -A compstate=(nmatches 0); source \"$1\"; shift\n"
      "words=(\"$@\") CURRENT=$# PREFIX=${@[-1]}; _trainer\n";
  const auto offers = [&](const Words& line) {
    Words words{"zsh", "-f", "-c", stubs, "zsh", (folder / "script").string()};
    words.insert(words.end(), line.begin(), line.end());
    const Outcome result = Process(words).wait();
    CHECK(result.err.empty());
    Words lines = lines_of_text(result.out);
    for (std::string& each : lines) {
      size_t colon = each.find(':');
      while (colon != each.npos && colon > 0 && each[colon - 1] == '\\') colon = each.find(':', colon + 1);
      each = each.substr(0, colon);
    }
    return lines;
  };
  CHECK(has(offers({"trainer", ""}), "models"));
  CHECK(offers({"trainer", "config", ""}) == Words{"docs", "diff", "keys"});
  CHECK(has(offers({"trainer", "--du"}), "--dump-config"));
  CHECK(has(offers({"trainer", "--throughput", "--du"}), "--dump-config"));
  CHECK(offers({"trainer", "--throughput", ""}) == Words{"train", "eval"});
  CHECK(has(offers({"trainer", "--opts", "TAG", "x", "TR"}), "TRAIN.BASE_LR"));
  CHECK(offers({"trainer", "--opts", "AMP.DTYPE", ""}) == Words{"auto", "f32", "bf16", "f16"});
  CHECK(offers({"trainer", "--opts", "AMP.DTYPE=b"}) == Words{"auto", "f32", "bf16", "f16"});
  CHECK(has(offers({"trainer", "bench", ""}), "cnn\\:f32"));
  CHECK(has(offers({"trainer", "--opts", "TEST.METRICS", "[acc1,"}), "acc5"));
  CHECK(offers({"trainer", "--cfg", ""}) == Words{"files"});
  CHECK(offers({"trainer", "config", "diff", "a.yaml", ""}) == Words{"files"});
}

TEST_CASE("completion refuses a shell that it does not know") {
  CHECK_THAT(message_of(Exit::usage, {"completion", "tcsh"}), ContainsSubstring("bash, zsh, fish"));
}

TEST_CASE("flag --help of every command, with examples of its own") {
  const Bash bash = bash_with_script();
  const auto commands = all_commands(bash);
  CHECK(commands.size() >= 12);
  for (Words words : commands) {
    std::string name = "trainer";
    for (const std::string& word : words) name += " " + word;
    INFO(name);
    words.push_back("--help");
    const Outcome result = succeed(words);
    CHECK(result.err.empty());
    const auto at = result.out.find("Examples:\n");
    REQUIRE(at != std::string::npos);
    CHECK(result.out.find("  " + name, at) != std::string::npos);
    CHECK_THAT(result.out,
               !ContainsSubstring("TEXT") && !ContainsSubstring("INT"));  // the parser's names of types
    for (const std::string& flag : bash.entry(name + ":flags"))
      CHECK_THAT(result.out, ContainsSubstring(flag));
  }
}

TEST_CASE("man: a page for each command, with every flag, examples and exit codes") {
  const Bash bash = bash_with_script();
  const std::string root = succeed({"man"}).out;
  CHECK_THAT(root, ContainsSubstring(".TH TRAINER 1") && ContainsSubstring(".SH FILES\n") &&
                       ContainsSubstring(".SH ENVIRONMENT\n") && ContainsSubstring("NO_COLOR") &&
                       ContainsSubstring("metrics.jsonl"));
  const auto pages = lines_of_text(succeed({"man", "--list"}).out);
  CHECK(pages == bash.entry("trainer:commands"));
  for (const Words& words : all_commands(bash)) {
    const std::string name = words.empty() ? "" : words[0];
    std::string path = "trainer";
    for (const std::string& word : words) path += " " + word;
    INFO(path);
    const std::string page = name.empty() ? root : succeed({"man", name}).out;
    for (const char* section :
         {".SH NAME\n", ".SH SYNOPSIS\n", ".SH OPTIONS\n", ".SH EXIT STATUS\n", ".SH SEE ALSO\n"})
      CHECK_THAT(page, ContainsSubstring(section));
    CHECK_THAT(page,
               ContainsSubstring(name == "config" ? ".PP\n.nf\n  trainer " + name : ".SH EXAMPLES\n.nf\n"));
    if (!name.empty()) CHECK_THAT(root, ContainsSubstring("trainer\\-" + name));
    for (std::string flag : bash.entry(path + ":flags")) {
      for (size_t at = 0; (at = flag.find('-', at)) != flag.npos; at += 2) flag.insert(at, "\\");
      CHECK_THAT(page, ContainsSubstring("\\fB" + flag + "\\fR"));
    }
  }
  CHECK_THAT(message_of(Exit::usage, {"man", "bensh"}), ContainsSubstring("did you mean bench"));
}
