// Group: one start of this node's workers, from the first fork to the end of everything that they have
// started.
#pragma once

#include <string>
#include <vector>

#include "apps/trainer-launch/guardian.h"
#include "apps/trainer-launch/nodes.h"
#include "apps/trainer-launch/output.h"
#include "apps/trainer-launch/report.h"
#include "apps/trainer-launch/signals.h"

namespace trainer::launch {

class Group {
 public:
  /// `scratch` is a folder for files that live as long as the run.
  Group(const Options&, const Command&, const Plan&, Nodes&, Guardian&, const std::string& scratch);
  /// Kills what is left.
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  struct Result {
    int code = 0;             ///< the launcher's exit code if nothing follows
    bool may_repeat = false;  ///< it failed in a way that starting again may help
  };
  /// Starts the workers and returns when they have ended. The report of a failure has been printed.
  Result run();

 private:
  enum class State { running, waiting_for_nodes, stopping };

  void start_all();
  void poll_once();
  void on_signal(int signal);
  void on_news(const News&);
  void on_deadlines();
  void reap();
  void on_failure(const Worker&);

  /// A failure: nothing is left to be saved, so that little time is given.
  void stop_after_failure();
  /// A signal from outside: the workers save and end in their own time.
  void pass_on(int signal);
  void kill_all();

  bool all_ended() const;
  bool failed_by_itself(const Worker&) const;
  const Worker* root_cause() const;
  Result conclude();
  Result conclude_failure(const Worker& root);
  void print(const std::string& report);

  const Options& options_;
  const Command& command_;
  const Plan& plan_;
  Nodes& nodes_;
  Guardian& guardian_;
  const std::string scratch_;
  Signals signals_;
  Console console_;
  Output output_{console_};
  MemoryWatch memory_;
  std::vector<Worker> workers_;
  std::string board_;

  State state_ = State::running;
  Snapshot snapshot_;      ///< at the first failure
  double stop_at_ = 0;     ///< a worker has failed, and the others will be stopped then; 0: none has
  double stopped_at_ = 0;  ///< when the others were told to end
  double kill_at_ = 0;     ///< when those that are left are killed; 0: never
  double killed_at_ = 0;
  int signal_ = 0;  ///< from outside, which ends the run
  bool others_failed_ = false, all_done_ = false;
};

}  // namespace trainer::launch
