// trainer-launch's command line: torchrun's flags, then the program.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.h"

namespace trainer::launch {

/// Which of a worker's streams (bits): 1 stdout, 2 stderr, 3 both.
class StreamChoice {
 public:
  StreamChoice() = default;
  /// "3" for all workers, or "0:1,1:2" by local rank. Throws Error(Exit::usage) naming `flag`.
  StreamChoice(const std::string& text, const char* flag);
  int of(int local_rank) const;
  bool any() const { return all_ != 0 || !by_rank_.empty(); }

 private:
  int all_ = 0;
  std::map<int, int> by_rank_;
};

struct Options {
  int min_nodes = 1, max_nodes = 1;
  int workers = 1;  ///< on this node

  // Several nodes: where and how the launchers meet.
  std::string rdzv_backend = "static", rdzv_endpoint, rdzv_id = "none";
  double join_timeout = 600, last_call_timeout = 30;  ///< seconds
  std::optional<bool> is_host;                        ///< serve at the endpoint: yes, no, find out
  int node_rank = 0;
  std::string master_addr, local_addr;  ///< "": not given
  std::optional<int> master_port;

  int max_restarts = 0;
  double shutdown_timeout = 30;  ///< seconds between a signal that was passed on and SIGKILL
  std::vector<int> signals;      ///< that end the run
  std::string role = "default";

  std::string log_dir;
  StreamChoice redirects, tee;
  std::set<int> shown_ranks;  ///< local ranks whose output is shown; empty: all
  std::string prefix;         ///< template before each line; "": "[rank N] " if there are several workers

  bool virtual_local_rank = false, pass_local_rank = false;
  bool module = false, no_python = false;
  std::vector<std::string> program;  ///< as on the command line; may begin with a flag of trainer's
};

/// Throws Error(Exit::usage); nothing if --help or --version was asked for and has been printed.
std::optional<Options> parse_options(const std::vector<std::string>& words);

/// "4", "auto", "cpu" or "gpu".
int worker_count(const std::string& text);
/// Devices in CUDA_VISIBLE_DEVICES, or "0", "1", ... for those of the machine.
std::vector<std::string> gpus();

/// "0,2" -> {"0", "2"}; nothing for "".
std::vector<std::string> split(const std::string& text, char separator);

/// A whole number and nothing else.
std::optional<int> whole_number(std::string_view text);

/// "SIGTERM", "TERM" -> 15. Throws Error(Exit::usage) for others than those that can be handled.
int signal_number(const std::string& name);
/// 15 -> "SIGTERM"
std::string signal_name(int signal);

}  // namespace trainer::launch
