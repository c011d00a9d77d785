// trainer [--cfg FILE] [--opts ...]: trains; with --eval, --throughput, --dry-run or --dump-config it does
// that instead.
#include <csignal>
#include <cstdio>

#include "apps/trainer/command.h"
#include "apps/trainer/keys.h"
#include "apps/trainer/precision.h"
#include "apps/trainer/process.h"
#include "apps/trainer/profile_report.h"
#include "apps/trainer/train_modes.h"
#include "lib/backend/cpu/parallel.h"
#include "lib/base/board.h"
#include "lib/base/log.h"
#include "lib/base/signals.h"
#include "lib/base/system.h"
#include "lib/base/text.h"
#include "lib/train/build.h"
#include "lib/train/evaluate.h"
#include "lib/train/hooks/metrics_log.h"
#include "lib/train/hooks/progress.h"
#include "lib/train/hooks/save.h"
#include "lib/train/resume.h"
#include "lib/train/run_directory.h"
#include "lib/train/run_state.h"

namespace trainer::app {
namespace {

using train::Settings;

struct Flags {
  ConfigSource source;
  std::string explain, throughput, start;
  double seconds = Throughput().seconds, started = 0;  // of --throughput; hidden
  DryRun plan;
  bool eval = false, dry_run = false, dump_config = false, profile = false;

  bool evaluates() const { return eval || !throughput.empty(); }
  config::Use use() const { return evaluates() ? config::Use::evaluation : config::Use::training; }
  bool trains() const { return !evaluates() && !dry_run; }
};

void refuse(const Flags& flags, const std::vector<std::string>& problems) {
  if (flags.dump_config || !flags.explain.empty()) flags.source.refuse(problems, std::nullopt);
  flags.source.refuse(problems, flags.use(), flags.trains());
}

/// config.yaml: what makes this run, without where it went on from.
std::string reproducible(const config::Config& config) {
  config::Config copy = config.clone();
  copy.defrost();
  copy.set("MODEL.RESUME", std::string());
  copy.set("LOCAL_RANK", int64_t{0});
  copy.set("TRAIN.AUTO_RESUME", true);
  return copy.dump();
}

constexpr int64_t profiled_steps = 10;

/// Nothing of a run is written before everything that can be checked has been checked.
int train(const config::Config& config, const Settings& settings, const Process& process,
          const Roofline* roofline) {
  const double start = now() - process_age();
  const Device device = process.device;
  comm::Comm& comm = *process.comm;
  std::unique_ptr<train::RunDirectory> run;  // on rank 0, which alone writes checkpoints; outlives the writer
  train::Training training(config, settings,
                           train::build_loader(train::build_dataset(config, settings, data::Split::train),
                                               settings, data::Split::train, comm),
                           device, comm);
  train::Trainer& trainer = *training.trainer;
  const auto validation = train::build_dataset(config, settings, data::Split::val);
  const train::Origin origin = origin_of(config, training, device);

  const fs::path path = train::run_path(settings);
  const std::string checkpoint = train::on_rank0(comm, [&] {
    run = std::make_unique<train::RunDirectory>(path);
    return train::choose_checkpoint(*run, settings, process.world.restart > 0);
  });

  if (roofline != nullptr) {
    trainer.add(std::make_unique<train::ProfileHook>(
        profiled_steps, [=](const train::ProfileHook::Result& r) { print_profile(r, *roofline); }));
  }
  train::SaveHook* save = nullptr;  // on rank 0
  if (run) trainer.add(std::make_unique<train::ProgressHook>());
  if (validation->size() > 0) {
    trainer.add(std::make_unique<train::EvaluateHook>(
        train::build_loader(validation, settings, data::Split::val, comm),
        train::build_metrics(config, settings, validation->spec())));
  }
  if (run) {
    trainer.add(std::make_unique<train::MetricsHook>(*run, settings.run.print_freq));
    auto hook = std::make_unique<train::SaveHook>(*run, settings.run, origin);
    save = hook.get();
    trainer.add(std::move(hook));
  }
  if (checkpoint.empty()) {
    train::begin_together(*training.model, comm);
  } else {
    train::restore(trainer, origin, checkpoint);
  }
  if (trainer.finished() && !checkpoint.empty()) {
    if (save != nullptr) save->restore_pointers(trainer);
    log::info("{} is finished ({} steps): nothing to do. Another --tag or --output makes a new run",
              path.string(), trainer.step());
    return 0;
  }

  log::add_file(
      (path / (comm.rank() == 0 ? "log.txt" : fmt::format("log.rank{}.txt", comm.rank()))).string());
  if (run) run->describe(reproducible(config), derived_values(settings, trainer.plan(), process));
  announce(settings, training, process, path.string());
  report_precision(config, settings, process, training.parameters->precision());
  if (validation->size() == 0) log::info("no validation data: nothing will be evaluated");
  if (!checkpoint.empty()) log::info("continuing after step {} from {}", trainer.step(), checkpoint);
  signals::install();
  trainer.run();
  if (comm.size() > 1)
    comm.barrier("end of the run");  // what rank 0 has saved is durable before any of them leaves
  board::enter(board::Phase::finished, trainer.step());

  if (run) {
    for (const std::string& key : config.unread()) log::warn("{} was set, but nothing read it", key);
  }
  if (const int signal = trainer.requests().stop; signal != 0) {
    log::info("stopped by {} after step {} of {}, and saved: the same command goes on from there",
              signal == SIGINT ? "SIGINT" : "SIGTERM", trainer.step(), trainer.plan().total_steps);
    return 128 + signal;
  }
  const double seconds = now() - start;
  log::info("{} in {}", summary(trainer),
            seconds < 60 ? fmt::format("{:.1f} s", seconds) : human_time(seconds));
  log::info("run directory: {}", path.string());
  return 0;
}

int evaluate(const config::Config& config, const Settings& settings, const Process& process) {
  comm::Comm& comm = *process.comm;
  const auto dataset = train::build_dataset(config, settings, data::Split::val);
  check(Exit::data, dataset->size() > 0, "--eval: dataset {} has no validation data", settings.dataset.name);
  Settings s = settings;
  const std::string resumed = train::on_rank0(comm, [&] { return train::checkpoint_to_evaluate(s); });
  if (!resumed.empty()) s.model.pretrained = resumed;
  if (s.model.pretrained.empty() && s.model.weights_dir.empty()) {
    log::warn("--eval without weights: the model is as initialised (--resume, --pretrained)");
  }
  const auto model = train::build_model(config, s, dataset->spec().input, process.device,
                                        {.replace_classifier = resumed.empty()});
  train::begin_together(*model, comm);
  const nn::Precision precision = train::choose_precision(s, process.device);
  nn::set_precision(*model, precision);
  report_precision(config, s, process, precision);
  const auto loss = train::build_loss(config, s, dataset->spec());
  const auto loader = train::build_loader(dataset, s, data::Split::val, comm);
  nn::Context context;
  nn::attach(*model, context);
  const auto result = *train::evaluate(*model, context, *loss,
                                       train::build_metrics(config, s, dataset->spec()), *loader, comm);
  if (comm.rank() == 0) std::puts(evaluation_json(result).c_str());
  return 0;
}

int run(const Flags& flags) {
  check(Exit::usage, flags.dry_run || flags.plan.world_size == 0,
        "--world-size is for --dry-run: how many processes train is the launcher's to say (trainer-launch "
        "--nproc_per_node {})",
        flags.plan.world_size);
  check(Exit::usage, flags.dry_run || flags.plan.schedule.empty(), "--schedule is for --dry-run");
  if (!flags.explain.empty()) {
    std::fputs(explain(flags.source.merge(), flags.explain).c_str(), stdout);
    return 0;
  }
  if (flags.dump_config) {
    std::fputs(flags.source.merge().dump().c_str(), stdout);
    return 0;
  }
  const auto [config, settings, notices] = flags.source.load(flags.use(), flags.trains());
  const Process process = begin_process(config, settings, flags.dry_run);
  if (process.comm->rank() == 0) {
    for (const std::string& notice : notices) log::warn("{}", notice);
  }
  if (flags.dry_run) return dry_run(config, settings, process, flags.plan);
  std::unique_ptr<Roofline> roofline;  // of rank 0's device; measured while nothing else runs on it
  if (flags.profile && process.comm->rank() == 0) roofline = std::make_unique<Roofline>(process.device);
  if (!flags.throughput.empty())
    return throughput(config, settings, process,
                      {.evaluation = flags.throughput == "eval",
                       .seconds = flags.seconds,
                       .started = flags.started > 0 ? std::optional(flags.started) : std::nullopt,
                       .start = flags.start},
                      roofline.get());
  if (flags.eval) return evaluate(config, settings, process);
  return train(config, settings, process, roofline.get());
}

/// Flags that stand for a key, Swin's among them. One that is not given changes nothing.
std::vector<Flag> key_flags(ConfigSource& source) {
  struct KeyFlag {
    const char *flag, *key, *help, *type;
    const char* switched = nullptr;  ///< what a switch sets its key to; nullptr: the flag takes a value
  };
  static constexpr KeyFlag table[] = {
      {"--output", "OUTPUT", "where runs are kept (output)", "DIR"},
      {"--tag", "TAG", "name of this run (default)", "NAME"},
      {"--batch-size", "DATA.BATCH_SIZE", "batch size per process", "N"},
      {"--data-path", "DATA.DATA_PATH", "the data's file or folder", "PATH"},
      {"--pretrained", "MODEL.PRETRAINED", "weights to start from", "FILE"},
      {"--accumulation-steps", "TRAIN.ACCUMULATION_STEPS", "micro-batches per optimizer step", "N"},
      {"--optim", "TRAIN.OPTIMIZER.NAME", "optimizer", "NAME"},
      {"--amp-opt-level", "AMP_OPT_LEVEL", "Apex' level: O0 to O3", "LEVEL"},
      {"--cache-mode", "DATA.CACHE_MODE", "what of a zip file is kept in memory: no, part or full", "MODE"},
      {"--local-rank", "LOCAL_RANK", "index of this process; the environment's LOCAL_RANK wins", "N"},
      {"--disable-amp", "AMP_ENABLE", "no mixed precision", "", "False"},
      {"--use-checkpoint", "TRAIN.USE_CHECKPOINT", "recompute activations to save memory", "", "True"},
      {"--zip", "DATA.ZIP_MODE", "images lie in a zip file", "", "True"},
      {"--fused-window-process", "FUSED_WINDOW_PROCESS", "fused window partition: the same numbers", "",
       "True"},
      {"--fused-layernorm", "FUSED_LAYERNORM", "fused layer normalisation: the same numbers", "", "True"},
  };
  std::vector<Flag> flags;
  for (const KeyFlag& f : table) {
    Flag flag{f.flag, f.type, f.help, [&source, f](const std::string& word) {
                if (f.switched != nullptr && word != "true") return;
                source.flags.push_back({f.flag, f.key, f.switched != nullptr ? f.switched : word});
              }};
    if (flag.type == "NAME" || flag.type == "LEVEL") flag.offered = known_values(f.key);
    flags.push_back(std::move(flag));
  }
  return flags;
}

void take_resume(ConfigSource& source, const std::string& from) {
  const bool named = from != "auto" && from != "none";
  source.flags.push_back({"--resume", "MODEL.RESUME", named ? from : "''"});
  if (!named) source.flags.push_back({"--resume", "TRAIN.AUTO_RESUME", from == "auto" ? "True" : "False"});
}

}  // namespace

Command train_command() {
  auto flags = std::make_shared<Flags>();
  ConfigSource& source = flags->source;
  Command command{.name = "trainer",
                  .help = "Trains vision models, configured by YAML.",
                  .examples = R"(Examples:
  trainer --cfg configs/digits/cnn.yaml                            train
  trainer --cfg configs/digits/cnn.yaml --opts DATA.BATCH_SIZE 128 TRAIN.EPOCHS 40
  trainer --cfg configs/digits/cnn.yaml --dry-run                  layers, schedule, memory; trains nothing
  trainer --cfg exp.yaml --eval --pretrained model.safetensors     accuracy of saved weights
  trainer predict --cfg exp.yaml --weights model.safetensors --input x.safetensors --output y.safetensors
  trainer models 'resnet*'                                         what can be trained)",
                  .flags = source_flags(source, "configuration (YAML)"),
                  .run = [flags] { return run(*flags); },
                  .refuse = [flags](const auto& problems) { refuse(*flags, problems); },
                  .version = version_text};
  const auto add = [&](Flag flag) { command.flags.push_back(std::move(flag)); };
  add(toggle("--eval", "evaluate only", flags->eval));
  Flag resume{
      "--resume", "auto|none|PATH",
      "auto continues the newest checkpoint of the run directory; none begins anew; or a checkpoint or "
      "run directory",
      [&source](const std::string& from) { take_resume(source, from); }};
  resume.offered = {"auto", "none", "@files"};
  add(std::move(resume));
  Flag throughput = choice("--throughput", "[train|eval]",
                           "measure speed on one synthetic batch and stop; train if left out",
                           flags->throughput, {"train", "eval"});
  throughput.alone = "train";
  add(std::move(throughput));
  for (Flag flag :
       {seconds("--seconds", "what --throughput measures at least (10)", flags->seconds),
        seconds("--started", "when the process was started: for bench", flags->started),
        text("--write-start", "FILE", "initial weights and the batch: for bench", flags->start)}) {
    flag.hidden = true;
    add(std::move(flag));
  }
  add(toggle("--profile", "print what each op of some steps takes, beside what the device can do; train on",
             flags->profile));
  add(toggle("--dry-run", "print layers, parameter groups, schedule, memory and communication; train nothing",
             flags->dry_run));
  add(number("--world-size", "N", "ranks that --dry-run plans for (as launched)", flags->plan.world_size, 1,
             1 << 20));
  add(text("--schedule", "FILE", "where --dry-run writes the learning rate of each step, as CSV",
           flags->plan.schedule));
  add(toggle("--dump-config", "print the merged configuration as YAML", flags->dump_config));
  Flag explain_flag =
      text("--explain", "KEY", "print a key's value, type, meaning, and what set it", flags->explain);
  explain_flag.offered = {"@keys"};
  add(std::move(explain_flag));
  for (Flag& flag : key_flags(source)) add(std::move(flag));
  return command;
}

}  // namespace trainer::app
