// How the launchers of a run agree: who takes part, when all workers start, and what ended them.
#pragma once

#include <memory>
#include <string>

#include "apps/trainer-launch/options.h"
#include "apps/trainer-launch/plan.h"

namespace trainer::launch {

/// What ended a start of the workers, for the launchers of the other nodes.
struct Verdict {
  int code = 6;            ///< exit code of the root cause
  bool permanent = false;  ///< starting again would not help
  std::string report;      ///< lines for the user
};

/// News of the other nodes.
struct News {
  enum class Kind { none, failure, signal, all_done } kind = Kind::none;
  int signal = 0;
  bool ours = false;  ///< this node has brought it about
};

class Nodes {
 public:
  virtual ~Nodes() = default;
  /// Meets the others for a start of the workers. Throws Error(Exit::distributed) or Error(Exit::usage).
  virtual Plan meet(int attempt) = 0;
  /// Readable when there is news; -1: there never is.
  virtual int fd() const { return -1; }
  virtual News news() { return {}; }

  /// A worker of this node has failed, or a signal ends the run: tells the others. Returns the first such
  /// news.
  virtual News announce(const News& own) { return own; }
  /// All workers of this node have ended well. Others may still be at work: news() says when all are done.
  virtual void done() {}
  /// The node whose failure was the first says why, all others hear it.
  virtual void give_verdict(const Verdict&) {}
  virtual Verdict hear_verdict() { return {}; }
  /// The last call.
  virtual void leave() {}
};

std::unique_ptr<Nodes> make_nodes(const Options&);

}  // namespace trainer::launch
