// The two sides of `trainer bench`, each measurement a process of its own.
#pragma once

#include <string>
#include <vector>

#include "apps/trainer/bench_rows.h"

namespace trainer::app::bench {

/// What one process measured.
struct Figures {
  double at = 0;                  ///< when it was started, seconds since the bench began
  double step_seconds = 0;        ///< the median
  double first_step_seconds = 0;  ///< from the start of the process to the end of its first training step
  double peak_bytes = 0;          ///< largest resident set
  int threads = 0;
};

/// One way to train a row: ours, or one of PyTorch's.
struct Side {
  std::string name;                ///< "trainer", "installed", "fused", "compile"
  std::vector<Figures> runs = {};  ///< one a round
  std::string missing = {};        ///< why there are none
  Figures median() const;          ///< of each figure alone
  bool has_figures() const { return missing.empty() && !runs.empty(); }
};

struct Result {
  Case what;
  std::vector<Side> sides;   ///< ours first
  std::string profile = {};  ///< the tables of --profile

  const Side& ours() const { return sides.front(); }
  /// The side of this name; nullptr if it has no figures.
  const Side* find(const std::string& name) const;
  /// PyTorch's fused or compile, whichever takes less time for a step; nullptr if both have no figures.
  const Side* best() const;
};

/// PyTorch as a Python has it.
struct Peer {
  std::string python;
  nlohmann::ordered_json versions;  ///< python, torch, timm
  std::string missing;              ///< why there is no PyTorch; "": there is
  std::string tcmalloc;             ///< its library, preloaded but for `installed`; "": not on this machine
};

/// Asks a Python for its PyTorch. `python` is --python's, which has to be there: Error(Exit::usage) if it
/// cannot be run. Empty: $PYTHON, else python3.
Peer find_peer(const std::string& python);

/// What all measurements of a bench share.
struct Measuring {
  Peer peer;
  double seconds = 10;  ///< a process measures at least so long
  double begin = 0;     ///< of the bench, on the clock of now()
};

/// Words of our command line that measure a case.
std::vector<std::string> our_words(const Case&);

/// One more run of ours. Throws Error with the process's exit code and stderr if it fails.
void measure_ours(const Measuring&, const Case&, Side&);
/// One more run of PyTorch in the mode that the side is called by. What fails makes the side missing.
void measure_peer(const Measuring&, const Case&, Side&);

/// The tables of a run of ours with --profile.
std::string profile(const Measuring&, const Case&);

}  // namespace trainer::app::bench
