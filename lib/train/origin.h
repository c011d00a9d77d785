// Origin: what a run was made from. A checkpoint keeps it, so that a run that goes on with something else is
// told what that changes, or refused.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/checkpoint/archive.h"
#include "lib/config/config.h"
#include "lib/data/dataset.h"

namespace trainer::train {

struct Origin {
  std::vector<std::string> config = {};  ///< "KEY: value" of every key, sorted
  std::string data = {};                 ///< of the training split: samples, shapes, classes
  int64_t global_batch = 0;              ///< samples of a micro-batch over all ranks
  int64_t world_size = 1, threads = 1;
  std::string precision = {};  ///< nn::Precision::str(): DEVICE and AMP.DTYPE auto may choose another one
  std::string device = {}, build = {}, instruction_set = {};
  void state(checkpoint::Archive&);
};

/// Of all of it, for a checkpoint's manifest.
std::string hash_of(const Origin&);

/// A few samples, spread over all, as a hash: other data of the same shape is other data.
std::string fingerprint(const data::Dataset&);

/// The keys of a configuration as Origin::config has them.
std::vector<std::string> config_lines(const config::Config&);

/// What a change means for a run that goes on.
enum class Effect {
  none,     ///< where things are, how often something is said or saved
  bits,     ///< the same training; the last bits may differ from the uninterrupted run's
  course,   ///< from here on it is another training, as somebody may want: schedule, regularisation
  refused,  ///< what has been saved means something else now
};
Effect effect_of(std::string_view key);

struct Change {
  std::string key, before, after;
  Effect effect;
};
/// What differs, keys first, then machine and build.
std::vector<Change> compare(const Origin& before, const Origin& now);

/// Logs what changes the run. Throws one Error(Exit::usage) with all that is refused; `checkpoint` names it.
void check_changes(const std::vector<Change>&, const std::string& checkpoint);

}  // namespace trainer::train
