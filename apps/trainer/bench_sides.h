// The two sides of `trainer bench`, each measurement a process of its own.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/trainer/bench_rows.h"
#include "apps/trainer/bench_work.h"
#include "lib/base/fd.h"

namespace trainer::app::bench {

/// What one process measured.
struct Figures {
  double at = 0;                  ///< when it was started, seconds since the bench began
  double step_seconds = 0;        ///< the median
  double first_step_seconds = 0;  ///< from the start of the process to the end of its first training step
  double peak_bytes = 0;          ///< largest resident set
  int threads = 0;
  Work work = {};
};

/// One way to train a row: ours, or one of PyTorch's.
struct Side {
  std::string name;                ///< "trainer", "installed", "fused", "compile"
  std::vector<Figures> runs = {};  ///< one a round
  std::string missing = {};        ///< why there are none
  bool differs = false;            ///< there are, of another work than ours: `missing` says what differs
  Figures median() const;          ///< of each figure alone, without work
  bool has_figures() const { return missing.empty() && !runs.empty(); }
};

struct Result {
  Case what;
  std::vector<Side> sides;   ///< ours first
  std::string profile = {};  ///< the tables of --profile

  const Side& ours() const { return sides.front(); }
  /// The side of this name; nullptr if it has no figures.
  const Side* find(const std::string& name) const;
  /// The mode of PyTorch's that takes the least time for a step, `installed` among them: what is meant to be
  /// faster is not so everywhere. nullptr if none has figures.
  const Side* best() const;
  /// Between our losses and those of all modes that have figures, relative; nothing if none has.
  std::optional<double> largest_difference() const;
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

/// Where all runs of a case begin: our initial weights and the batch, in a file that has no name and is gone
/// with this process, however that ends.
class Start {
 public:
  /// A run of ours writes it; throws as measure_ours().
  explicit Start(const Case&);
  /// For other processes, as long as this object lives.
  std::string path() const;

 private:
  Fd file_;
};

/// One more run of ours. Throws Error with the process's exit code and stderr if it fails.
void measure_ours(const Measuring&, const Case&, Side&);
/// One more run of PyTorch from `start`, in the mode that the side is called by. What fails makes the side
/// missing, and so does other work than `ours`.
void measure_peer(const Measuring&, const Case&, const Start& start, const Work& ours, Side&);

/// The tables of a run of ours with --profile.
std::string profile(const Measuring&, const Case&);

}  // namespace trainer::app::bench
