// trainer config: the tree of keys itself.
#include <cstdio>
#include <map>

#include "apps/trainer/command.h"
#include "lib/base/text.h"

namespace trainer::app {
namespace {

const char* const own_defaults = R"(
## Your own defaults

`$XDG_CONFIG_HOME/trainer/config.yaml`, or `~/.config/trainer/config.yaml`, is read before all other files, if it is there:

```
OUTPUT: /data/runs
DATA:
  DATA_PATH: /data/imagenet
```

It is for paths and logging: the keys marked *yours*. Any other key in it, and BASE, is an error, because no result shall
depend on who starts a run. Files, `--opts` and flags win over it, and `--explain KEY` names its line where a value comes
from it. The config.yaml of a run holds such a value like any other, so that the run can be repeated by somebody else (whose
data may lie elsewhere). `--no-user-config` leaves the file alone, for scripts; `config diff` and `bench` never read it;
the processes of `trainer-launch` read it as `trainer` does.

## Environment

No variable of the environment sets a key. What is read:

| variable | |
|---|---|
| XDG_CONFIG_HOME, HOME | where your own defaults are |
| RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, GROUP_RANK, GROUP_WORLD_SIZE, MASTER_ADDR, MASTER_PORT, TORCHELASTIC_\*, SLURM_\*, PMI_\*, OMPI_COMM_WORLD_\*, TRAINER_STORE | how many processes a run has and where they meet, from whatever starts them ([launch.md](launch.md)) |
| TRAINER_BOARD | where trainer-launch sees what each process does |
| GLOO_SOCKET_IFNAME | the network interface that reaches the other machines |
| CUDA_VISIBLE_DEVICES | which GPUs there are |
| GOMP_SPINCOUNT, OMP_WAIT_POLICY | how threads wait: time alone |
| NO_COLOR, TERM, COLUMNS | the terminal |
| PYTHON, PYTHON_EXEC, PET_\* | of `bench` and `trainer-launch` |

The number of threads is THREADS, not OMP_NUM_THREADS. ONEDNN_DEFAULT_FPMATH_MODE, by which oneDNN would compute f32 with
fewer bits, is overruled. ONEDNN_MAX_CPU_ISA makes the processor an older one; the instruction set is kept in checkpoints,
and going on with another one is said.
)";

/// docs/config.md, whole: a table per group. A test keeps the file equal to this.
std::string reference_page() {
  const config::Config config = config::Config::defaults();
  std::string text =
      "# Configuration keys\n\n"
      "Written by `trainer config docs`. A key can be set in a file, with `--opts KEY VALUE`, or by its "
      "flag; "
      "`trainer --explain KEY` shows one with its value and what set it. Keys marked *pending* are known, so "
      "that files which "
      "set them are understood, but their feature is not built: another value than the default is refused, "
      "or ignored with a warning where it "
      "changes no result. Keys marked *yours* can be set in your own defaults, too, for all your runs: see "
      "the end.\n";
  std::map<std::string, std::vector<std::string>> groups;
  for (const std::string& key : config.keys()) {
    const auto dot = key.rfind('.');
    groups[dot == key.npos ? "" : key.substr(0, dot)].push_back(key);
  }
  for (const auto& [group, keys] : groups) {
    text += fmt::format("\n## {}\n\n| key | default | type | meaning |\n|---|---|---|---|\n",
                        group.empty() ? "Root" : group);
    for (const std::string& key : keys) {
      const config::Explanation e = config.explanation(key);
      std::string type = e.type;
      if (!e.range.empty()) type += ", " + e.range;
      if (!e.unit.empty()) type += ", " + e.unit;
      text += fmt::format("| {} | `{}` | {} | {}{} |\n", key, e.default_value.repr(), type,
                          e.unsupported    ? "*pending*: "
                          : e.user_default ? "*yours*: "
                                           : "",
                          e.help);
    }
  }
  return text + own_defaults;
}

int print_keys(const std::string& glob, bool names) {
  const config::Config config = config::Config::defaults();
  int count = 0;
  for (const std::string& key : config.keys()) {
    if (!glob_match(glob, key)) continue;
    ++count;
    if (names) {
      std::puts(key.c_str());
      continue;
    }
    const config::Explanation e = config.explanation(key);
    fmt::print("{:<36} {:<24} {}{}\n", key, e.default_value.repr(), e.user_default ? "(yours) " : "", e.help);
  }
  check(Exit::usage, count > 0, "no key matches '{}'{}", glob, did_you_mean(glob, config.keys()));
  return 0;
}

}  // namespace

Command config_command() {
  struct Flags {
    std::string glob = "*";
    bool names = false;
  };
  auto flags = std::make_shared<Flags>();
  Flag glob = text("GLOB", "PATTERN", "pattern of keys, as 'TRAIN.*'", flags->glob);
  glob.offered = {"@keys"};
  return {.name = "config",
          .help = "the tree of configuration keys",
          .examples = R"(Examples:
  trainer config keys 'TRAIN.*'
  trainer config diff configs/digits/cnn.yaml output/cnn/default
  trainer config docs > docs/config.md)",
          .flags = {},
          .run = {},
          .subcommands = {{.name = "docs",
                           .help = "the reference page of all keys (Markdown)",
                           .examples = R"(Examples:
  trainer config docs > docs/config.md)",
                           .flags = {},
                           .run =
                               [] {
                                 std::fputs(reference_page().c_str(), stdout);
                                 return 0;
                               }},
                          config_diff_command(),
                          {.name = "keys",
                           .help = "keys, their defaults and meaning",
                           .examples = R"(Examples:
  trainer config keys
  trainer config keys 'TRAIN.*'
  trainer config keys --names | fzf)",
                           .flags = {std::move(glob), toggle("--names", "only the names", flags->names)},
                           .run = [flags] { return print_keys(flags->glob, flags->names); }}}};
}

}  // namespace trainer::app
