// trainer man: what the pages of the manual say beside the tables of the command line.
#include <cstdio>

#include "apps/cli/man.h"
#include "apps/trainer/command.h"

namespace trainer::app {
namespace {

using cli::Fact;

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
    {"~/.config/trainer/config.yaml, $XDG_CONFIG_HOME/trainer/config.yaml",
     "your own defaults of OUTPUT, DATA.DATA_PATH and PRINT_FREQ, for all runs; not read with "
     "--no-user-config",
     "inspect predict"},
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
    {"XDG_CONFIG_HOME, HOME", "where trainer/config.yaml is, see FILES", "inspect predict"},
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
    "your own defaults are laid over them, then the files that the key BASE of --cfg's file names, then that "
    "file, then "
    "--opts, then the flags below; the last one that sets a key wins. Underscores and dashes in flags are "
    "the same.";

struct Flags {
  std::string command;
  bool list = false;
};

int print(const Flags& flags) {
  const Command root = root_command({});
  const cli::Manual manual{root, about, exits, files, environment, {"trainer-launch"}};
  for (const Command& sub : root.subcommands) {
    if (flags.list) std::puts(sub.name.c_str());
    if (!flags.list && flags.command == sub.name) std::fputs(man_page(manual, sub).c_str(), stdout);
  }
  if (!flags.list && flags.command.empty()) std::fputs(man_page(manual, root).c_str(), stdout);
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
