// --throughput: the median time of steps on one batch that is made once.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "apps/trainer/precision.h"
#include "apps/trainer/train_modes.h"
#include "lib/backend/cpu/parallel.h"
#include "lib/base/log.h"
#include "lib/base/system.h"
#include "lib/checkpoint/items.h"
#include "lib/tensor/constant_weights.h"
#include "lib/train/run_state.h"

namespace trainer::app {
namespace {

constexpr int warmup_steps = 2, least_steps = 5;
constexpr size_t reported_losses = 3;  // of a bench, as many as bench_peer.py reports

/// One batch of random samples that comes again and again.
class RepeatedBatch final : public data::Dataset {
 public:
  RepeatedBatch(data::Spec spec, int64_t size) : spec_(std::move(spec)), size_(size) {
    const Rng rng = Rng(0).fork("throughput");
    values_.resize(static_cast<size_t>(size_ * spec_.input.numel()));
    for (size_t i = 0; i < values_.size(); ++i) values_[i] = 2 * rng.uniform(0, i) - 1;
  }
  const data::Spec& spec() const override { return spec_; }
  int64_t size() const override { return size_; }
  void read(int64_t index, const Rng&, const data::Sample& into) const override {
    const auto row =
        std::span(values_).subspan(static_cast<size_t>(index) * into.input.size(), into.input.size());
    std::ranges::copy(row, into.input.begin());
    if (!into.label.empty()) into.label[0] = index % spec_.num_classes;
    std::ranges::fill(into.target, 0.F);
  }
  std::string name_of(int64_t index) const override { return fmt::format("synthetic sample {}", index); }

 private:
  data::Spec spec_;
  int64_t size_;
  std::vector<float> values_;
};

/// The times of steps as they come.
class Times {
 public:
  explicit Times(double least_seconds) : least_seconds_(least_seconds) {}
  void add(double seconds) {
    if (++count_ == 1) first_end_ = now();
    if (count_ <= warmup_steps) return;
    measured_.push_back(seconds);
    total_ += seconds;
  }
  bool enough() const { return std::ssize(measured_) >= least_steps && total_ >= least_seconds_; }
  bool warm() const { return count_ >= warmup_steps; }
  int64_t count() const { return std::ssize(measured_); }  // without those that warmed up
  double total() const { return total_; }
  double first_end() const { return first_end_; }  // when the first step ended, on the clock of now()
  double median() const {
    std::vector<double> sorted = measured_;
    std::ranges::sort(sorted);
    return sorted[sorted.size() / 2];
  }

 private:
  std::vector<double> measured_;
  double least_seconds_, total_ = 0, first_end_ = 0;
  int64_t count_ = 0;
};

/// Ends the run when there are enough, and keeps the first losses.
class Stopwatch final : public train::Hook {
 public:
  Stopwatch(Times& times, std::vector<double>& losses) : times_(times), losses_(losses) {}
  void on_step(train::Trainer& trainer, const train::StepReport& r) override {
    times_.add(r.seconds);
    if (losses_.size() < reported_losses) losses_.push_back(r.loss);
    comm::Comm& comm = trainer.parts().comm;
    Tensor enough = Tensor::full({}, times_.enough(), DType::f64);
    if (comm.size() > 1) comm.all_reduce(enough, "enough");  // all stop at the same step
    if (enough.item() > 0) trainer.stop();
  }

 private:
  Times& times_;
  std::vector<double>& losses_;
};

/// What a bench compares.
nlohmann::ordered_json work_json(const train::Training& training, const std::vector<double>& losses) {
  int64_t decayed = 0;
  for (const optim::Span& span : training.parameters->trainable()) {
    if (span.weight_decay > 0) decayed += span.size;
  }
  return {{"losses", losses}, {"parameters", training.parameters->count()}, {"decayed", decayed}};
}

/// What runs begin with, as safetensors in the layout of files: the weights as "model.NAME", the batch as
/// "input" and "target".
void write_start(train::Training& training, const fs::path& path) {
  data::Batch batch;
  training.loader->start(0);
  training.loader->next(batch);
  std::vector<checkpoint::Item> items = checkpoint::exported_items(*training.model);
  for (checkpoint::Item& item : items) item.name = "model." + item.name;
  const bool images = batch.input.shape().rank() == 4;
  items.push_back({"input", batch.input, images ? nn::Layout::filter : nn::Layout::plain});
  items.push_back({"target", batch.target});
  std::ofstream file(path, std::ios::binary);
  checkpoint::write_items(items, path, [&file](std::span<const std::byte> bytes) {
    file.write(reinterpret_cast<const char*>(bytes.data()), std::ssize(bytes));
  });
  file.close();
  check(Exit::usage, file.good(), "cannot write {}", path.string());
}

void print(const Times& times, int64_t samples, const Process& process, const Throughput& asked,
           const nlohmann::ordered_json& work = {}) {
  const comm::Comm& comm = *process.comm;
  const Device device = process.device;
  if (comm.rank() > 0) return;
  const double step_seconds = times.median();
  const int64_t peak = device.is_host() ? peak_memory_bytes() : pool_statistics(device).peak;
  nlohmann::ordered_json j;
  if (asked.started) {
    j["step_s"] = step_seconds;
    j["first_step_s"] = times.first_end() - *asked.started;
    j["peak_bytes"] = peak;
    j["threads"] = cpu::threads();
    j.update(work);
  } else {
    samples *= comm.size();
    j["samples_per_s"] = std::round(static_cast<double>(samples) / step_seconds * 100) / 100;
    j["step_ms"] = std::round(step_seconds * 1e9) / 1e6;  // a step of a tiny model takes microseconds
    j["peak_bytes"] = peak;
  }
  std::puts(j.dump().c_str());
}

}  // namespace

int throughput(const config::Config& config, const train::Settings& settings, const Process& process,
               const Throughput& asked, const Roofline* roofline) {
  const Device device = process.device;
  comm::Comm& comm = *process.comm;
  train::Settings s = settings;
  data::Spec spec = sample_spec(config, s);
  if (spec.is_classification()) spec.num_classes = config.get<int64_t>("MODEL.NUM_CLASSES");
  s.train.epochs = int64_t{1} << 40;
  s.train.max_steps = 0;
  s.train.warmup_epochs = 0;
  s.aug.enable = false;
  s.loader.num_workers = 0;
  s.loader.drop_last = true;
  const int64_t batch = s.loader.batch_size;
  auto dataset = std::make_shared<RepeatedBatch>(spec, batch * comm.size());
  log::info("{} on {}, batch {}: {} warm-up steps, then at least {} steps and {} s", s.model.name,
            device.str(), batch, warmup_steps, least_steps, asked.seconds);
  const nn::Precision precision = train::choose_precision(s, device);
  report_precision(config, s, process, precision);
  Times times(asked.seconds);

  if (!asked.evaluation) {
    s.train.accumulation_steps = 1;
    train::Training training(config, s, train::build_loader(dataset, s, data::Split::train, comm), device,
                             comm);
    train::begin_together(*training.model, comm);
    if (!asked.start.empty()) {
      write_start(training, asked.start);
      return 0;
    }
    std::vector<double> losses;
    training.trainer->add(std::make_unique<Stopwatch>(times, losses));
    if (roofline != nullptr) {
      training.trainer->add(std::make_unique<train::ProfileHook>(
          0, [=](const train::ProfileHook::Result& r) { print_profile(r, *roofline); }));
    }
    training.trainer->run();
    print(times, batch, process, asked, work_json(training, losses));
    return 0;
  }

  const auto model = train::build_model(config, s, spec.input, device);
  nn::set_precision(*model, precision);
  nn::Context context;
  nn::attach(*model, context);
  const NoGrad no_grad;
  const std::vector<Storage> weights = nn::memory_of_weights(*model);
  const ConstantWeights constant(weights);  // as in an evaluation of many batches
  const auto loader = train::build_loader(dataset, s, data::Split::val, comm);
  data::Batch input;
  loader->start(0);
  loader->next(input);
  Profile profile;
  for (bool profiling = false; !times.enough();) {
    if (roofline != nullptr && times.warm() && !std::exchange(profiling, true)) profile.start();
    const double begin = now();
    const Var y = (*model)(Var(input.input.to(device)));
    backend(device.kind).synchronize(device.index);
    times.add(now() - begin);
  }
  profile.stop();
  if (roofline != nullptr) print_profile({profile, times.count(), times.total()}, *roofline);
  print(times, batch, process, asked);
  return 0;
}

}  // namespace trainer::app
