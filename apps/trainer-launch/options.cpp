#include "apps/trainer-launch/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>

#include "lib/base/text.h"

namespace trainer::launch {
namespace {

constexpr const char* examples =
    R"(The program begins at the first word that is no flag, after --, or at a flag that only trainer has (then it is the
trainer beside this launcher). A .py file runs under python3. Every flag has a default in PET_<NAME>.

Examples:
  trainer-launch --nproc_per_node 4 --cfg exp.yaml                 trainer, four processes on this machine
  trainer-launch --nproc_per_node gpu trainer --cfg exp.yaml       one for each GPU
  trainer-launch --nproc_per_node 2 train.py --epochs 3            a PyTorch script
  trainer-launch --nnodes 2 --node_rank 0 --master_addr node0 --nproc_per_node 4 --cfg exp.yaml
  trainer-launch --nnodes 2 --rdzv_backend c10d --rdzv_endpoint node0:29400 --nproc_per_node 4 --cfg exp.yaml
                                                                   the same line on both nodes

Exit code: that of the worker that failed first, 6 if a signal ended it; 143 (130) after SIGTERM (Ctrl-C).)";

/// Flags that trainer has and the launcher has not: there the program begins.
const std::vector<std::string>& trainer_flags() {
  static const std::vector<std::string> all = split(
      "cfg,opts,eval,resume,throughput,dry-run,world-size,schedule,dump-config,explain,output,tag,batch-size,"
      "data-path,"
      "pretrained,"
      "accumulation-steps,optim,amp-opt-level,disable-amp,use-checkpoint,zip,cache-mode,local-rank,"
      "fused-window-process,fused-layernorm",
      ',');
  return all;
}

/// What CLI11 fills; the rest of Options is made of it.
struct Raw {
  std::string nnodes = "1", nproc = "1", rdzv_conf, redirects = "0", tee = "0", filter, numa, start_method,
              event_log;
  std::string logs_specs, stdout_filters, stderr_filters;
  std::string signals = "SIGTERM,SIGINT,SIGHUP,SIGQUIT";
  int master_port = -1;
  double monitor_interval = 0.1;
  bool standalone = false, use_env = false, run_path = false;
};

class HelpFormatter final : public CLI::Formatter {
 public:
  std::string make_usage(const CLI::App*, std::string) const override {
    return "Usage: trainer-launch [FLAGS] [PROGRAM] [ARGUMENTS]\n";
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    const std::string type = option->get_type_name();
    return type.empty() ? "" : " " + type;
  }
};

class Flags {
 public:
  explicit Flags(CLI::App& app) : app_(app) {}
  Flags& group(const char* name) {
    group_ = name;
    return *this;
  }
  template <class T>
  CLI::Option* value(const std::string& names, T& target, const char* type, const char* help) {
    return finish(app_.add_option(names, target, help)->type_name(type));
  }
  CLI::Option* flag(const std::string& names, bool& target, const char* help) {
    return finish(app_.add_flag(names, target, help));
  }

 private:
  CLI::Option* finish(CLI::Option* option) {
    std::string variable = "PET_" + option->get_lnames().front();
    std::transform(variable.begin(), variable.end(), variable.begin(),
                   [](char c) { return c == '-' ? '_' : static_cast<char>(std::toupper(c)); });
    // An empty variable is an unset one.
    const char* value = std::getenv(variable.c_str());
    if (value != nullptr && *value != '\0') option->envname(variable);
    return option->take_last()->group(group_);  // given twice: the last one counts, as everywhere
  }
  CLI::App& app_;
  const char* group_ = "";
};

void add_flags(CLI::App& app, Options& o, Raw& raw) {
  Flags f(app);
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
  f.group("");  // known, refused
  f.value("--numa-binding", raw.numa, "", "");
  f.value("--logs-specs", raw.logs_specs, "", "");
  f.value("--duplicate-stdout-filters", raw.stdout_filters, "", "");
  f.value("--duplicate-stderr-filters", raw.stderr_filters, "", "");
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

std::string normalised(std::string word) {
  if (word.starts_with("--")) std::replace(word.begin(), std::find(word.begin(), word.end(), '='), '_', '-');
  return word;
}

/// Splits off the program; what stays are the launcher's own words.
std::vector<std::string> take_program(const CLI::App& app, const std::vector<std::string>& words,
                                      std::vector<std::string>& program) {
  std::vector<std::string> own;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string word = normalised(words[i]), name = word.substr(0, word.find('='));
    if (word == "--") {
      program.assign(words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
      break;
    }
    const bool option = word.starts_with("-") && word != "-";
    const CLI::Option* known = option ? app.get_option_no_throw(name) : nullptr;
    const bool trainers = option && known == nullptr && name.starts_with("--") &&
                          std::ranges::count(trainer_flags(), name.substr(2)) > 0;
    if (!option || trainers) {
      program.assign(words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
      break;
    }
    own.push_back(word);
    const bool takes_value = known != nullptr && known->get_items_expected_max() > 0 && name == word;
    if (takes_value && i + 1 < words.size()) own.back() += "=" + words[++i];
    if (takes_value && !word.starts_with("--")) {  // -r 3: CLI11 knows -r3, not -r=3
      own.back().erase(word.size(), 1);
    }
  }
  return own;
}

[[noreturn]] void fail_unknown(const CLI::App& app) {
  std::vector<std::string> known;
  for (const CLI::Option* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) known.push_back("--" + name);
  }
  for (const std::string& name : trainer_flags()) known.push_back("--" + name);
  std::string text;
  for (const std::string& word : app.remaining(true)) {
    const std::string name = word.substr(0, word.find('='));
    text += fmt::format("{}unknown argument {}{}", text.empty() ? "" : "\n", word, did_you_mean(name, known));
  }
  fail(Exit::usage, "{} (see trainer-launch --help)", text);
}

}  // namespace

std::optional<Options> parse_options(const std::vector<std::string>& words) {
  Options options;
  Raw raw;
  CLI::App app("Starts the processes of a distributed run, watches over them and ends them together.",
               "trainer-launch");
  app.footer(examples);
  app.formatter(std::make_shared<HelpFormatter>());
  app.get_formatter()->column_width(44);
  app.set_help_flag("-h,--help", "this help");
  bool version = false;
  app.add_flag("--version", version, "version");
  add_flags(app, options, raw);
  std::vector<std::string> own = take_program(app, words, options.program);
  std::reverse(own.begin(), own.end());  // CLI11 wants the last word first
  try {
    app.parse(own);
  } catch (const CLI::ExtrasError&) {
    fail_unknown(app);
  } catch (const CLI::Success& done) {
    app.exit(done);
    return std::nullopt;
  } catch (const CLI::ParseError& problem) {
    fail(Exit::usage, "{} (see trainer-launch --help)", problem.what());
  }
  if (version) {
    std::puts("trainer-launch " TRAINER_VERSION);
    return std::nullopt;
  }
  finish(options, raw);
  return options;
}

}  // namespace trainer::launch
