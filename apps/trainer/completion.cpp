// trainer completion: a script for bash, zsh or fish.
#include <cstdio>
#include <memory>

#include "apps/cli/completion.h"
#include "apps/trainer/command.h"
#include "apps/trainer/keys.h"

namespace trainer::app {
namespace {

int print(const std::string& shell) {
  const Command root = root_command({});
  std::vector<cli::Entry> table = cli::entries_of(root);
  for (cli::Entry& entry : key_entries()) table.push_back(std::move(entry));
  std::fputs(cli::completion_script(shell, root.name, "trainer completion " + shell, table).c_str(), stdout);
  return 0;
}

}  // namespace

Command completion_command() {
  auto shell = std::make_shared<std::string>();
  Flag name = choice("SHELL", "SHELL", "bash, zsh or fish", *shell, {"bash", "zsh", "fish"});
  name.required = true;
  return {.name = "completion",
          .help = "a script that completes this command line in a shell",
          .examples = R"(`cmake --install` puts the scripts where the shells look for them; without it:

Examples:
  trainer completion bash > ~/.local/share/bash-completion/completions/trainer
  source <(trainer completion bash)                        for this shell alone; zsh too, after compinit
  trainer completion zsh > ~/.zfunc/_trainer               in a folder of $fpath
  trainer completion fish > ~/.config/fish/completions/trainer.fish)",
          .flags = {std::move(name)},
          .run = [shell] { return print(*shell); }};
}

}  // namespace trainer::app
