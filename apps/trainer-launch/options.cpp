#include "apps/trainer-launch/options.h"

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "apps/cli/completion.h"
#include "apps/cli/man.h"
#include "apps/cli/parse.h"
#include "lib/base/text.h"

namespace trainer::launch {
namespace {

using cli::Command;
using cli::Flag;

constexpr const char* examples =
    R"(The program begins at the first word that is no flag, after --, or at a flag that only trainer has (then it is the
trainer beside this launcher). A .py file runs under python3. Every flag has a default in PET_<NAME>.
Exit code: that of the worker that failed first, 6 if a signal ended it; 143 (130) after SIGTERM (Ctrl-C).

Examples:
  trainer-launch --nproc_per_node 4 --cfg exp.yaml                 trainer, four processes on this machine
  trainer-launch --nproc_per_node gpu trainer --cfg exp.yaml       one for each GPU
  trainer-launch --nproc_per_node 2 train.py --epochs 3            a PyTorch script
  trainer-launch --nnodes 2 --node_rank 0 --master_addr node0 --nproc_per_node 4 --cfg exp.yaml
  trainer-launch --nnodes 2 --rdzv_backend c10d --rdzv_endpoint node0:29400 --nproc_per_node 4 --cfg exp.yaml
                                                                   the same line on both nodes
  source <(trainer-launch --completion bash)                       completion, where it is not installed
  trainer-launch --man | man -l -)";

/// Flags that trainer has and the launcher has not: there the program begins.
std::vector<std::string> trainer_flags() {
  std::vector<std::string> all = split(
      "cfg,opts,no-user-config,eval,resume,throughput,profile,dry-run,world-size,schedule,dump-config,"
      "explain,output,"
      "tag,batch-size,"
      "data-path,pretrained,accumulation-steps,optim,amp-opt-level,disable-amp,use-checkpoint,zip,cache-mode,"
      "local-rank,fused-window-process,fused-layernorm",
      ',');
  for (std::string& name : all) name.insert(0, "--");
  return all;
}

/// What flags say; the rest of Options is made of it.
struct Raw {
  std::string nnodes = "1", nproc = "1", rdzv_conf, redirects = "0", tee = "0", filter, numa, start_method,
              event_log;
  std::string logs_specs, stdout_filters, stderr_filters;
  std::string signals = "SIGTERM,SIGINT,SIGHUP,SIGQUIT";
  int master_port = -1;
  double monitor_interval = 0.1;
  bool standalone = false, use_env = false, run_path = false;
  std::string completion;
  bool man = false;
};

/// Collects flags. Each has a default in the environment, as torchrun's have.
class Table {
 public:
  void group(const char* name) { group_ = name; }
  void hide(bool hidden) { hidden_ = hidden; }

  void value(const std::string& names, std::string& target, const char* type, const char* help) {
    Flag flag = cli::text(names, type, help, target);
    // "N|auto|cpu|gpu": the words in small letters can be completed.
    for (const std::string& word : split(type, '|')) {
      if (std::ranges::all_of(word, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }))
        flag.offered.push_back(word);
    }
    torchruns(std::move(flag));
  }
  void value(const std::string& names, int& target, const char* type, const char* help) {
    torchruns({names, type, help, [names, &target](const std::string& word) {
                 const auto number = whole_number(word);
                 check(Exit::usage, number.has_value(), "{} {}: expected a whole number", names, word);
                 target = *number;
               }});
  }
  void value(const std::string& names, double& target, const char* type, const char* help) {
    torchruns({names, type, help, [names, &target](const std::string& word) {
                 char* end = nullptr;
                 target = std::strtod(word.c_str(), &end);
                 check(Exit::usage, end != word.c_str() && *end == '\0' && std::isfinite(target),
                       "{} {}: expected a number of seconds", names, word);
               }});
  }
  void flag(const std::string& names, bool& target, const char* help) {
    torchruns(cli::toggle(names, help, target));
  }
  void add(Flag flag) {
    flag.group = group_;
    flag.hidden = hidden_;
    flags_.push_back(std::move(flag));
  }
  std::vector<Flag> flags() { return std::move(flags_); }

 private:
  void torchruns(Flag flag) {
    flag.variable = "PET_" + cli::name_of(flag).substr(2);
    std::ranges::transform(flag.variable, flag.variable.begin(), [](unsigned char c) {
      return c == '-' ? '_' : static_cast<char>(std::toupper(c));
    });
    add(std::move(flag));
  }

  std::vector<Flag> flags_;
  std::string group_;
  bool hidden_ = false;
};

std::vector<Flag> flags_of(Options& o, Raw& raw) {
  Table f;
  f.group("Processes");
  f.value("--nproc-per-node", raw.nproc, "N|auto|cpu|gpu",
          "workers on this node (1); auto: one for each GPU, else core");
  f.value("--nnodes", raw.nnodes, "N|MIN:MAX", "nodes (1)");
  f.value("--max-restarts", o.max_restarts, "N",
          "start all workers again after a failure, at most so often (0)");
  f.value("--shutdown-timeout", o.shutdown_timeout, "SECONDS",
          "for saving after a signal, then SIGKILL (30)");
  f.value("--signals-to-handle", raw.signals, "NAMES",
          "passed on to the workers, ending the run; SIGUSR1 is passed on too");
  f.flag("-m,--module", o.module, "the program is a Python module");
  f.flag("--no-python", o.no_python, "run a .py file itself, not under python3");
  f.flag("--pass-local-rank", o.pass_local_rank, "append --local_rank=N to the program's words");
  f.flag("--virtual-local-rank", o.virtual_local_rank, "LOCAL_RANK is 0 and one GPU visible in every worker");
  f.value("--role", o.role, "NAME", "ROLE_NAME of the workers (default)");
  f.group("Several nodes");
  f.value("--node-rank", o.node_rank, "N", "this node's number; node 0 is where the others meet (0)");
  f.value("--master-addr", o.master_addr, "HOST", "address of node 0 (127.0.0.1)");
  f.value("--master-port", raw.master_port, "PORT",
          "MASTER_PORT; one node: chosen by the kernel; several: 29500");
  f.value("--rdzv-backend", o.rdzv_backend, "static|c10d",
          "static: nodes are numbered by --node-rank; c10d: as they come");
  f.value("--rdzv-endpoint", o.rdzv_endpoint, "HOST:PORT", "where the launchers meet");
  f.value("--rdzv-id", o.rdzv_id, "ID", "name of this run, the same on all nodes (none)");
  f.value("--rdzv-conf", raw.rdzv_conf, "K=V,...", "join_timeout=600, last_call_timeout=30, is_host");
  f.value("--local-addr", o.local_addr, "HOST", "this node's address for the others");
  f.flag("--standalone", raw.standalone, "one node; the flags of this group are ignored");
  f.group("Output");
  f.value("--log-dir", o.log_dir, "DIR",
          "DIR/<run id>/attempt_N/<local rank>/{stdout.log,stderr.log,error.json}");
  f.value("-r,--redirects", raw.redirects, "0-3|RANK:0-3,...",
          "1 stdout, 2 stderr, 3 both: to files only (0)");
  f.value("-t,--tee", raw.tee, "0-3|RANK:0-3,...", "to files and the terminal (0; with --log-dir alone: 3)");
  f.value("--local-ranks-filter", raw.filter, "RANKS", "show only these local ranks, as in 0,2");
  f.value("--log-line-prefix-template", o.prefix, "TEMPLATE",
          "before each line: ${role_name} ${local_rank} ${rank} ${hostname} (\"[rank ${rank}] \")");
  f.group("Accepted for torchrun's sake, without effect");
  f.value("--monitor-interval", raw.monitor_interval, "SECONDS", "failures are noticed at once");
  f.value("--start-method", raw.start_method, "NAME", "");
  f.value("--event-log-handler", raw.event_log, "NAME", "");
  f.flag("--run-path", raw.run_path, "");
  f.flag("--use-env", raw.use_env, "LOCAL_RANK is always in the environment");
  f.group("Shell");
  f.add(cli::choice("--completion", "SHELL",
                    "print a script that completes this command line: bash, zsh or fish", raw.completion,
                    {"bash", "zsh", "fish"}));
  f.add(cli::toggle("--man", "print a page for man(1)", raw.man));
  f.hide(true);  // known, refused
  f.value("--numa-binding", raw.numa, "MODE", "");
  f.value("--logs-specs", raw.logs_specs, "NAME", "");
  f.value("--duplicate-stdout-filters", raw.stdout_filters, "WORDS", "");
  f.value("--duplicate-stderr-filters", raw.stderr_filters, "WORDS", "");
  f.hide(false);

  Flag program{"PROGRAM", "PROGRAM",
               "what the workers run, and all that follows; the trainer if it is left out",
               [&o](const std::string& word) { o.program.push_back(word); }};
  program.program = true;
  program.offered = {"trainer", "@files"};
  f.add(std::move(program));
  return f.flags();
}

double seconds(const std::string& text, const std::string& what) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  check(Exit::usage, end != text.c_str() && *end == '\0' && value >= 0,
        "{}={}: expected a number of seconds from 0 on", what, text);
  return value;
}

bool truth(std::string text, const std::string& what) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  const bool yes = text == "1" || text == "true" || text == "yes";
  check(Exit::usage, yes || text == "0" || text == "false" || text == "no", "{}={}: expected true or false",
        what, text);
  return yes;
}

int node_number(const std::string& text, const std::string& what) {
  const auto number = whole_number(text);
  check(Exit::usage, number && *number >= 0, "{}={}: expected a number from 0 on", what, text);
  return *number;
}

void set_nodes(Options& o, const std::string& text) {
  int used = -1;
  const bool range = text.find(':') != text.npos;
  const int n = range ? std::sscanf(text.c_str(), "%d:%d%n", &o.min_nodes, &o.max_nodes, &used)
                      : std::sscanf(text.c_str(), "%d%n", &o.min_nodes, &used);
  if (!range) o.max_nodes = o.min_nodes;
  check(Exit::usage,
        n >= 1 && used == static_cast<int>(text.size()) && o.min_nodes >= 1 && o.max_nodes >= o.min_nodes,
        "--nnodes {}: expected a number of nodes or MIN:MAX", text);
}

void set_rendezvous(Options& o, const std::string& conf) {
  for (const std::string& entry : split(conf, ',')) {
    const std::string key = entry.substr(0, entry.find('='));
    const std::string value = entry.size() > key.size() ? entry.substr(key.size() + 1) : "";
    static const std::vector<std::string> known{
        "join_timeout", "last_call_timeout", "close_timeout", "is_host", "read_timeout", "timeout", "rank"};
    check(Exit::usage, std::count(known.begin(), known.end(), key) == 1, "--rdzv-conf: unknown key {}{}", key,
          did_you_mean(key, known));
    const std::string name = "--rdzv-conf " + key;
    if (key == "join_timeout" || key == "timeout") o.join_timeout = seconds(value, name);
    if (key == "last_call_timeout") o.last_call_timeout = seconds(value, name);
    if (key == "is_host") o.is_host = truth(value, name);
    if (key == "rank") o.node_rank = node_number(value, name);
  }
  check(Exit::usage, o.rdzv_backend == "static" || o.rdzv_backend == "c10d",
        "--rdzv-backend {}: expected static or c10d", o.rdzv_backend);
  if (o.max_nodes == 1) return;
  if (o.rdzv_backend == "c10d") {
    check(Exit::usage, !o.rdzv_endpoint.empty(),
          "--rdzv-backend c10d: several nodes need --rdzv-endpoint HOST:PORT");
    return;
  }
  check(Exit::usage, o.min_nodes == o.max_nodes,
        "--nnodes {}:{}: a range needs --rdzv-backend c10d and --rdzv-endpoint HOST:PORT", o.min_nodes,
        o.max_nodes);
  check(Exit::usage, o.node_rank < o.max_nodes, "--node-rank {} contradicts --nnodes {}: expected 0 to {}",
        o.node_rank, o.max_nodes, o.max_nodes - 1);
  check(Exit::usage, !o.master_addr.empty() || !o.rdzv_endpoint.empty(),
        "--nnodes {}: --master-addr (the address of node 0) is needed on every node", o.max_nodes);
}

void finish(Options& o, const Raw& raw) {
  check(Exit::usage, raw.numa.empty(), "--numa-binding {}: not supported; bind with numactl or taskset",
        raw.numa);
  check(Exit::usage, raw.logs_specs.empty() && raw.stdout_filters.empty() && raw.stderr_filters.empty(),
        "--logs-specs and --duplicate-*-filters are not supported");
  check(Exit::usage, o.max_restarts >= 0, "--max-restarts {}: expected a number from 0 on", o.max_restarts);
  check(Exit::usage, o.node_rank >= 0, "--node-rank {}: expected a number from 0 on", o.node_rank);
  check(Exit::usage, o.shutdown_timeout >= 0, "--shutdown-timeout {}: expected a number of seconds from 0 on",
        o.shutdown_timeout);
  check(Exit::usage, raw.master_port == -1 || (raw.master_port >= 1 && raw.master_port <= 65535),
        "--master-port {}: expected 1 to 65535", raw.master_port);
  if (raw.standalone) {
    o.min_nodes = o.max_nodes = 1;
    o.master_addr.clear();
  } else {
    set_nodes(o, raw.nnodes);
    set_rendezvous(o, raw.rdzv_conf);
    if (raw.master_port > 0) o.master_port = raw.master_port;
    // torchrun wants IPv6 addresses in brackets; MASTER_ADDR has none.
    if (o.master_addr.starts_with('[') && o.master_addr.ends_with(']'))
      o.master_addr = o.master_addr.substr(1, o.master_addr.size() - 2);
  }
  o.workers = worker_count(raw.nproc);
  for (const std::string& name : split(raw.signals, ',')) o.signals.push_back(signal_number(name));
  o.redirects = StreamChoice(raw.redirects, "--redirects");
  o.tee = StreamChoice(raw.tee, "--tee");
  if (!o.log_dir.empty() && !o.redirects.any() && !o.tee.any()) o.tee = StreamChoice("3", "--tee");
  for (const std::string& rank : split(raw.filter, ',')) {
    const auto number = whole_number(rank);
    check(Exit::usage, number && *number >= 0, "--local-ranks-filter {}: expected local ranks as in 0,2",
          raw.filter);
    o.shown_ranks.insert(*number);
  }
  check(Exit::usage, !o.program.empty(), "no program to run (see trainer-launch --help)");
}

const cli::Fact exits[] = {
    {"0", "all workers are done", ""},
    {"2", "the launcher's command line", ""},
    {"6", "a signal ended a worker, or the launchers could not meet", ""},
    {"130, 143", "interrupted or terminated, after the workers have saved", ""},
    {"others", "of the worker that failed first", ""},
};

const cli::Fact environment[] = {
    {"PET_<NAME>", "the default of a flag, as PET_NPROC_PER_NODE", ""},
    {"CUDA_VISIBLE_DEVICES", "which GPUs --nproc-per-node gpu counts; passed on", ""},
    {"OMP_NUM_THREADS", "for the workers; unless it is set, cores divided by workers", ""},
    {"PYTHON_EXEC", "the Python for scripts, else python3", ""},
    {"RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT, ...", "set for the workers",
     ""},
};

/// Prints what was asked for beside a run; false if that was nothing.
bool print_texts(const Command& command, const Raw& raw) {
  std::string text;
  if (!raw.completion.empty()) {
    text = cli::completion_script(raw.completion, command.name,
                                  command.name + " --completion " + raw.completion, cli::entries_of(command));
  } else if (raw.man) {
    text = cli::man_page({command,
                          "The flags are those of torchrun; dashes and underscores are the same.",
                          exits,
                          {},
                          environment,
                          {"trainer"}},
                         command);
  }
  std::fputs(text.c_str(), stdout);
  return !text.empty();
}

}  // namespace

std::optional<Options> parse_options(const std::vector<std::string>& words) {
  Options options;
  Raw raw;
  bool runs = false;
  Command command{
      .name = "trainer-launch",
      .help = "Starts the processes of a distributed run, watches over them and ends them together.",
      .examples = examples,
      .flags = flags_of(options, raw),
      .run = {}};
  command.version = [] { return "trainer-launch " TRAINER_VERSION; };
  command.program_flags = trainer_flags();
  command.run = [&] {
    if (print_texts(command, raw)) return 0;
    finish(options, raw);
    runs = true;
    return 0;
  };
  cli::run(command, words);
  return runs ? std::optional(std::move(options)) : std::nullopt;
}

}  // namespace trainer::launch
