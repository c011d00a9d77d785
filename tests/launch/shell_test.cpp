// Completion and manual of the launcher, made from its own table of flags.
#include "tests/launch/launcher.h"
#include "tests/support/bash.h"

using namespace launcher;

namespace {

const std::string beside = BINARY_DIR "/bin/trainer";

std::string script(const std::string& shell) {
  const Outcome result = outcome_of(command({"--completion", shell}));
  REQUIRE(result.code == 0);
  return result.out;
}

bool has(const Words& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

/// Flags as --help shows them.
Words flags_of_help() {
  Words flags;
  for (const std::string& line : lines_of_text(outcome_of(command({"--help"})).out)) {
    if (line.starts_with("  -r,--")) flags.push_back("--redirects");
    if (line.starts_with("  --")) flags.push_back(line.substr(2, line.find(' ', 2) - 2));
  }
  return flags;
}

}  // namespace

TEST_CASE("launch completion bash: flags, values, and where the program begins") {
  const Bash bash(script("bash"));
  const std::string name = "trainer-launch";
  CHECK(Process({"bash", "-n", bash.script()}).wait().code == 0);
  CHECK(bash.offers({name, "--nproc"}) == Words{"--nproc-per-node"});
  CHECK(bash.offers({name, "--nproc_per"}) == Words{"--nproc-per-node"});
  CHECK(bash.offers({name, "--nproc_per_node", ""}) == Words{"auto", "cpu", "gpu"});
  CHECK(bash.offers({name, "--rdzv-backend", "c"}) == Words{"c10d"});
  CHECK(bash.offers({name, "--rdzv-backend", "=", "s"}, name + " --rdzv-backend=s") == Words{"static"});
  CHECK(bash.offers({name, "--completion", ""}) == Words{"bash", "zsh", "fish"});
  CHECK(bash.offers({name, "-"}).size() > 25);
  CHECK(bash.offers({name, "--numa"}).empty());  // known, refused
  CHECK(has(bash.offers({name, "--nproc_per_node", "2", ""}), "trainer"));
  CHECK(has(bash.offers({name, "-m", "--", ""}), "trainer"));
  CHECK(bash.offers({name, "train.py", "--"}).empty());  // its flags are its own
  for (const std::string& flag : flags_of_help()) {
    INFO(flag);
    CHECK(has(bash.entry(name + ":flags"), flag));
  }
}

TEST_CASE("launch completion bash: the trainer's own words, by the trainer's script") {
  if (!fs::exists(beside)) {
    WARN("skipped: no trainer has been built beside the launcher");
    return;
  }
  const std::string name = "trainer-launch";
  const std::string trainers = Process({beside, "completion", "bash"}).wait().out;
  for (const bool trainer_first : {true, false}) {
    const Bash bash(trainer_first ? trainers + script("bash") : script("bash") + trainers);
    CHECK(bash.offers({name, "trainer", "mod"}) == Words{"models"});
    CHECK(bash.offers({name, "--nproc_per_node", "2", "build/bin/trainer", "--dump"}) ==
          Words{"--dump-config"});
    CHECK(bash.offers({name, "--nproc_per_node", "2", "--dump"}) == Words{"--dump-config"});
    CHECK(bash.offers({name, "--cfg", "x.yaml", "--opts", "AMP.DTYPE", "b"}) == Words{"bf16"});
    CHECK(bash.offers({name, "--", "trainer", "--opts", "AMP.DTYPE=b"}) == Words{"AMP.DTYPE=bf16"});
    CHECK(bash.offers({name, "--tee", "3", "--opts", "TEST.METRICS", "[acc5,acc1"}) == Words{"[acc5,acc1"});
    CHECK(bash.offers({"trainer", "--dump"}) == Words{"--dump-config"});  // both programs in one shell
  }
  // As bash-completion loads it when it is first needed.
  const TempFolder folder;
  std::ofstream(folder / "trainer") << trainers;
  const Bash alone(script("bash") + "_comp_load() { source " + (folder / "trainer").string() + "; }\n");
  CHECK(alone.offers({name, "--cfg", "x", "--dump"}) == Words{"--dump-config"});
}

TEST_CASE("launch completion zsh and fish: what is offered, where they are installed") {
  const TempFolder folder;
  const auto written = [&](const std::string& shell) {
    std::ofstream(folder / shell) << script(shell);
    return (folder / shell).string();
  };
  CHECK_THAT(script("zsh"), ContainsSubstring("#compdef trainer-launch\n"));
  if (is_installed("fish")) {
    const std::string file = written("fish");
    if (fs::exists(beside))
      std::ofstream(file, std::ios::app) << Process({beside, "completion", "fish"}).wait().out;
    const auto offers = [&](const std::string& line) {
      const Outcome result =
          Process({"fish", "--no-config", "-c", "source " + file + "; complete -C '" + line + "'"}).wait();
      CHECK(result.err.empty());
      Words words = lines_of_text(result.out);
      for (std::string& word : words) word = word.substr(0, word.find('\t'));
      return words;
    };
    CHECK(offers("trainer-launch --nproc_p") == Words{"--nproc-per-node"});
    CHECK(offers("trainer-launch --nproc_per_node g") == Words{"gpu"});
    CHECK(has(offers("trainer-launch -m "), "trainer"));
    if (fs::exists(beside)) {
      CHECK(offers("trainer-launch trainer mod") == Words{"models"});
      CHECK(offers("trainer-launch --cfg x.yaml --opts AMP.DTYPE b") == Words{"bf16"});
      CHECK(offers("trainer-launch --nproc-per-node 2 --dump-c") == Words{"--dump-config"});
    }
  }
  if (is_installed("zsh")) {
    // Without zsh's own functions, which need a terminal: those that print what there is.
    const std::string stubs =
        "compdef() { }; compset() { }; _files() { print files }; _normal() { print normal $CURRENT $words }\n"
        "_describe() { print -rl -- ${(P)4}; compstate[nmatches]=1 }\n"
        "typeset -A compstate=(nmatches 0); source \"$1\"; shift\n"
        "words=(\"$@\") CURRENT=$# PREFIX=${@[-1]}; _trainer-launch\n";
    const std::string file = written("zsh");
    CHECK(Process({"zsh", "-n", file}).wait().code == 0);
    const auto offers = [&](const Words& line) {
      Words words{"zsh", "-f", "-c", stubs, "zsh", file};
      words.insert(words.end(), line.begin(), line.end());
      const Outcome result = Process(words).wait();
      CHECK(result.err.empty());
      return lines_of_text(result.out);
    };
    CHECK(offers({"trainer-launch", "--nproc_per_node", ""}) == Words{"auto", "cpu", "gpu"});
    CHECK(has(offers({"trainer-launch", "--node_r"}),
              "--node-rank:this node\'s number; node 0 is where the others meet (0)"));
    CHECK(offers({"trainer-launch", "--tee", "3", "trainer", "--opts", "A"}) ==
          Words{"normal 3 trainer --opts A"});
    CHECK(offers({"trainer-launch", "--tee=3", "--cfg", "A"}) == Words{"normal 3 trainer --cfg A"});
  }
}

TEST_CASE("launch: a page for man(1) with every flag") {
  const Outcome result = outcome_of(command({"--man"}));
  CHECK(result.code == 0);
  CHECK_THAT(result.out, ContainsSubstring(".TH TRAINER\\-LAUNCH 1") && ContainsSubstring(".SH EXAMPLES\n") &&
                             ContainsSubstring(".SH EXIT STATUS\n") &&
                             ContainsSubstring(".SH ENVIRONMENT\n") && ContainsSubstring("PET_<NAME>"));
  const Words flags = flags_of_help();
  CHECK(flags.size() > 25);
  for (std::string flag : flags) {
    for (size_t at = 0; (at = flag.find('-', at)) != flag.npos; at += 2) flag.insert(at, "\\");
    CHECK_THAT(result.out, ContainsSubstring("\\fB" + flag + "\\fR"));
  }
}
