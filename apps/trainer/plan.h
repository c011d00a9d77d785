// The parts of what --dry-run prints, one file each.
#pragma once

#include <string>

#include "lib/comm/reducer.h"
#include "lib/train/build.h"

namespace trainer::app {

/// A run that has been built but is not going to train.
struct Planned {
  const train::Settings& settings;
  train::Training& training;  ///< on the host, in a Rehearsal: its weights have no values
  train::Metrics& metrics;
  const data::Loader* validation;  ///< null without validation data
  Device device;                   ///< where the run would be
  int64_t world;                   ///< ranks
  int columns;                     ///< of the terminal; lines may be longer elsewhere
};

/// Layers with output shapes, parameters and multiply-accumulates of a sample.
std::string layer_table(const Planned&, bool cut);

/// Parameters by learning-rate factor and weight decay, frozen ones apart.
std::string group_table(const Planned&);

/// "layer1.0.conv1.weight" and "layer1.1.conv2.weight" both as "layer*.*.conv*.weight". A pattern of one name
/// is that name. In the order in which they come first.
std::vector<std::string> name_patterns(const std::vector<std::string>& names);

/// The learning rate over the run, as bars. `utf8`: of eighths of a character, else of four ASCII levels.
std::string schedule_plot(const optim::Schedule&, const train::Plan&, int64_t warmup_steps, int columns,
                          bool utf8);

/// A line for each step, "step,epoch,lr", below a line of these names.
void write_schedule(const optim::Schedule&, const train::Plan&, const std::string& file);

/// Bytes that a process of the run holds.
struct Memory {
  int64_t parameters = 0, gradients = 0, optimizer = 0, copies = 0;
  int64_t packed = 0;       ///< weights in the layouts of kernels, kept over the micro-batches of a step
  int64_t activations = 0;  ///< that backward needs, at the end of a forward pass; the batch among them
  int64_t workspace = 0;    ///< gradients of activations, what kernels need, and freed blocks kept for later
  int64_t program = 0;      ///< with its libraries, compiled kernels and data
  int64_t loader = 0;       ///< batches that are read ahead
  int64_t evaluation = 0;   ///< what it takes beyond what steps have left
  int64_t checkpoint = 0;   ///< the copy that is written while training goes on; rank 0's
  int64_t step() const {
    return parameters + gradients + optimizer + copies + packed + activations + workspace;
  }
};

/// What the ranks sum while they normalise (TRAIN.SYNC_BN), in a step of a micro-batch.
struct BatchNormSums {
  int64_t calls = 0, bytes = 0;
};

/// What the process holds before it builds a training.
struct Held {
  int64_t resident, pool;
  static Held now();
};

/// Rehearses training steps on the CPU.
Memory rehearse(const Planned&, const Held& before, BatchNormSums&);

std::string memory_table(const Planned&, const Memory&);

/// Buckets of gradients in the order of their sums, and what else the ranks tell each other.
std::string communication_table(const Planned&, const BatchNormSums&);

/// "102.2 MB", of 1e6 bytes.
std::string megabytes(int64_t bytes);

/// "  name         text", with further lines of text below the first.
std::string row(std::string_view name, const std::string& text);
/// The same, with text that is broken at spaces.
std::string wrapped_row(std::string_view name, const std::string& text, int columns);

}  // namespace trainer::app
