// What training, evaluation and measuring share in the command line: texts, and the modes that train nothing.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "apps/trainer/process.h"
#include "apps/trainer/profile_report.h"
#include "lib/train/build.h"
#include "lib/train/evaluate.h"
#include "lib/train/origin.h"

namespace trainer::app {

struct DryRun {
  int64_t world_size = 0;     ///< ranks to plan for; 0: as many as were launched
  std::string schedule = {};  ///< where the learning rates go, as CSV; "": nowhere
};

/// What the run would be, on stdout of rank 0: layers, parameter groups, schedule, memory, communication
/// (plan.h). Trains nothing.
int dry_run(const config::Config&, const train::Settings&, const Process&, const DryRun&);

struct Throughput {
  bool evaluation = false;
  double seconds = 10;                 ///< at least, after warming up
  std::optional<double> started = {};  ///< for a bench: when the process was started, on the clock of now()
  std::string start = {};              ///< for a bench: where to write what runs begin with, timing nothing
};

/// Times steps on one synthetic batch: two to warm up, then at least five and so many seconds; the median.
/// The last line of stdout is
/// {"samples_per_s":..,"step_ms":..,"peak_bytes":..}, by rank 0: samples of all ranks, its own step and
/// memory; for a bench it is {"step_s":..,"first_step_s":..,"peak_bytes":..,"threads":..,"losses":[..],
/// "parameters":..,"decayed":..}, as bench_peer.py prints it: losses of the first steps, elements that are
/// trained, and those of them that weight decay shrinks. With a roofline, tables of the ops come before it (print_profile).
int throughput(const config::Config&, const train::Settings&, const Process&, const Throughput&,
               const Roofline*);

/// What samples look like: as the dataset says where it can be had without files, else images of IMG_SIZE.
data::Spec sample_spec(const config::Config&, const train::Settings&);

/// What was computed from the configuration: derived.yaml.
std::map<std::string, std::string> derived_values(const train::Settings&, const train::Plan&, const Process&);

/// What a checkpoint keeps of where a run came from.
train::Origin origin_of(const config::Config&, const train::Training&, Device);

/// The first lines of a run: model, parameters, effective batch, learning rate, device.
void announce(const train::Settings&, const train::Training&, const Process&, const std::string& run);

/// "11,181,642 parameters", and how many of them are trained if not all.
std::string count_text(const optim::Parameters&);

/// The last line of a run.
std::string summary(const train::Trainer&);

std::string evaluation_json(const train::Evaluation&);

}  // namespace trainer::app
