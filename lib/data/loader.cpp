#include "lib/data/loader.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <system_error>

#include "lib/config/fields.h"

namespace trainer::data {
namespace {

constexpr int64_t batches_ahead_per_worker = 2;

/// One start() of the loader. Workers share its ownership, so that the next start() need not wait for them.
struct Epoch {
  int64_t number = 0, position = 0, batches = 0;
  std::vector<int64_t> order;
  Rng rng;
  std::atomic<bool> cancelled = false;
};

/// An Error on its way to another thread. (An exception_ptr would share its reference-counted message.)
struct Failure {
  Exit code;
  std::string message;
};

/// A place in the ring where a batch waits for the consumer.
struct Slot {
  Batch batch;
  std::optional<Failure> failure;
  bool ready = false;
  int64_t worker = -1;  // who reads it; -1: nobody yet
};

/// Replaces `t` by an uninitialised tensor [n, ...sample]. The old block goes back to the pool first, and
/// serves again.
void renew(Tensor& t, int64_t n, const Shape& sample, DType dtype) {
  std::array<int64_t, Shape::max_rank> dims{n};
  const auto rank =
      static_cast<size_t>(std::copy(sample.begin(), sample.end(), dims.begin() + 1) - dims.begin());
  t = Tensor();
  t = Tensor::empty(Shape(std::span(dims).first(rank)), dtype);
}

const bool declared = (config::declare("DATA", LoaderConfig{}), true);

}  // namespace

void LoaderConfig::fields(config::Fields& f) {
  f("BATCH_SIZE", batch_size, "samples per step and rank", {.min = 1});
  f("NUM_WORKERS", num_workers, "threads that read samples; 0: the training thread reads them itself",
    {.min = 0, .max = 1024});
  f("SHUFFLE", shuffle, "visit the training samples in a new order each epoch");
  f("DROP_LAST", drop_last, "leave out the training samples that do not fill a batch");
  f("PIN_MEMORY", pin_memory,
    "known from Swin, without effect: copies to a device choose their own staging memory");
  f("TIMEOUT", timeout, "how long to wait for a batch of the workers before giving up; 0: for ever",
    {.min = 0, .max = 1e6, .unit = "s"});
}

/// What the consumer and the workers share. It outlives the loader where a worker is stuck.
struct Loader::State {
  State(std::shared_ptr<const Dataset> d, const Sampler& s, const LoaderConfig& c);

  const std::shared_ptr<const Dataset> dataset;
  const Sampler sampler;
  const double timeout;
  const int64_t workers;
  std::vector<std::atomic<int64_t>> reading;  // by worker: the sample that it reads; -1: none

  std::mutex mutex;               // guards what follows
  std::condition_variable work;   // there may be a batch to claim
  std::condition_variable ready;  // the batch that the consumer waits for may be there
  std::shared_ptr<Epoch> epoch;
  std::vector<Slot> slots;  // batch k of the epoch waits in slot k % slots.size()
  int64_t claimed = 0, delivered = 0;
  bool stop = false;

  Slot& slot(int64_t k) { return slots[static_cast<size_t>(k) % slots.size()]; }
  bool may_claim() const {
    return epoch && claimed < epoch->batches && claimed < delivered + std::ssize(slots);
  }

  void allocate(Batch&, int64_t n) const;
  void read(const Epoch&, int64_t k, std::atomic<int64_t>* reading, Batch&) const;
  void run(int64_t worker);
  std::string describe_wait(const Slot&) const;
};

Loader::State::State(std::shared_ptr<const Dataset> d, const Sampler& s, const LoaderConfig& c)
    : dataset(std::move(d)),
      sampler(s),
      timeout(c.timeout),
      workers(std::min(c.num_workers, sampler.batches())),
      reading(static_cast<size_t>(workers)),
      slots(static_cast<size_t>(batches_ahead(sampler, c))) {
  if (workers == 0) return;
  // All batches that can be alive at once, so that the pool does not grow later: one a slot and the
  // consumer's.
  Batch spare;
  allocate(spare, sampler.config().batch_size);
  for (Slot& slot : slots) allocate(slot.batch, sampler.config().batch_size);
}

void Loader::State::allocate(Batch& batch, int64_t n) const {
  const Spec& spec = dataset->spec();
  renew(batch.input, n, spec.input, DType::f32);
  renew(batch.target, n, spec.target, spec.target_dtype);
}

/// Reads batch k of the epoch, or stops within it when the epoch is cancelled. Throws Error only.
void Loader::State::read(const Epoch& e, int64_t k, std::atomic<int64_t>* now, Batch& batch) const {
  batch.epoch = e.number;
  batch.position = e.position + k * sampler.global_batch();
  const auto slice = sampler.slice(batch.position);
  batch.first_row = slice.begin - batch.position;
  batch.global_size = slice.size;
  batch.samples.assign(e.order.begin() + slice.begin, e.order.begin() + slice.end);
  allocate(batch, batch.size());

  const Spec& spec = dataset->spec();
  const auto input_size = static_cast<size_t>(spec.input.numel()),
             target_size = static_cast<size_t>(spec.target.numel());
  for (size_t i = 0; i < batch.samples.size() && !e.cancelled.load(std::memory_order_relaxed); ++i) {
    const int64_t index = batch.samples[i];
    if (now != nullptr) now->store(index, std::memory_order_relaxed);
    Sample row{.input = batch.input.span<float>().subspan(i * input_size, input_size)};
    if (spec.is_classification()) {
      row.label = batch.target.span<int64_t>().subspan(i, 1);
    } else {
      row.target = batch.target.span<float>().subspan(i * target_size, target_size);
    }
    read_sample(*dataset, index, e.rng, row);
  }
}

void Loader::State::run(int64_t worker) {
  std::atomic<int64_t>& now = reading[static_cast<size_t>(worker)];
  now = -1;
  std::unique_lock lock(mutex);
  for (;;) {
    work.wait(lock, [this] { return stop || may_claim(); });
    if (stop) return;
    const auto mine = epoch;
    const int64_t k = claimed++;
    slot(k).worker = worker;
    Batch batch = std::move(slot(k).batch);
    std::optional<Failure> failure;
    lock.unlock();
    try {
      read(*mine, k, &now, batch);
    } catch (const Error& error) {
      failure = {error.code(), error.what()};
    } catch (const std::exception& error) {  // no memory for the message, say
      failure = {Exit::internal, error.what()};
    }
    now.store(-1, std::memory_order_relaxed);
    lock.lock();
    if (mine != epoch) continue;  // start() has turned to something else
    slot(k).batch = std::move(batch);
    slot(k).failure = std::move(failure);
    slot(k).ready = true;
    if (k == delivered) ready.notify_one();
  }
}

std::string Loader::State::describe_wait(const Slot& slot) const {
  const int64_t index =
      slot.worker < 0 ? -1 : reading[static_cast<size_t>(slot.worker)].load(std::memory_order_relaxed);
  if (index >= 0) return fmt::format("worker {} is reading {}", slot.worker, dataset->name_of(index));
  for (const auto& other : reading) {  // from an earlier epoch
    const int64_t at = other.load(std::memory_order_relaxed);
    if (at >= 0) return fmt::format("no worker is free, one is reading {}", dataset->name_of(at));
  }
  return "the workers get no processor time";
}

Loader::Loader(std::shared_ptr<State> state) : state_(std::move(state)) {}

// Delegates, so that the destructor ends the first workers if a later one cannot be started.
Loader::Loader(std::shared_ptr<const Dataset> dataset, const Sampler& sampler, const LoaderConfig& config)
    : Loader(std::make_shared<State>(std::move(dataset), sampler, config)) {
  check(sampler.config().size == state_->dataset->size(),
        "loader: the sampler is for {} samples, the dataset has {}", sampler.config().size,
        state_->dataset->size());
  check(!state_->dataset->spec().varies() || state_->dataset->size() == 0,
        "loader: samples of {} differ in size: a dataset of such images goes behind transforms",
        state_->dataset->spec().input);
  try {
    for (int64_t i = 0; i < state_->workers; ++i)
      workers_.emplace_back([state = state_, i] { state->run(i); });
  } catch (const std::system_error& error) {
    fail(Exit::usage, "DATA.NUM_WORKERS {}: the system refuses thread {}: {}", config.num_workers,
         workers_.size() + 1, error.what());
  }
}

Loader::~Loader() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stop = true;
    if (state_->epoch) state_->epoch->cancelled = true;
  }
  state_->work.notify_all();
  for (std::thread& worker : workers_) {
    if (stuck_) {
      worker.detach();
    } else {
      worker.join();
    }
  }
}

void Loader::start(int64_t epoch, int64_t position) {
  State& s = *state_;
  auto next = std::make_shared<Epoch>();
  next->number = epoch;
  next->position = position;
  next->batches = s.sampler.batches(position);
  next->order = s.sampler.order(epoch);
  next->rng = Rng(s.sampler.config().seed).fork("sample").fork(static_cast<uint64_t>(epoch));
  {
    const std::lock_guard lock(s.mutex);
    if (s.epoch) s.epoch->cancelled = true;
    s.epoch = std::move(next);
    s.claimed = s.delivered = 0;
    for (Slot& slot : s.slots) {
      slot.failure.reset();
      slot.ready = false;
      slot.worker = -1;
    }
  }
  s.work.notify_all();
}

bool Loader::next(Batch& batch) {
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  check(s.epoch != nullptr, "loader: next() before start()");
  if (s.delivered == s.epoch->batches) return false;
  if (workers_.empty()) {
    s.read(*s.epoch, s.delivered, nullptr, batch);
    ++s.delivered;
    return true;
  }

  Slot& slot = s.slot(s.delivered);
  const auto arrived = [&] { return slot.ready; };
  if (s.timeout == 0) {
    s.ready.wait(lock, arrived);
  } else if (!s.ready.wait_for(lock, std::chrono::duration<double>(s.timeout), arrived)) {
    stuck_ = true;
    fail(Exit::data, "batch {} of epoch {} has not come in {} s (DATA.TIMEOUT): {}", s.delivered,
         s.epoch->number, s.timeout, s.describe_wait(slot));
  }
  if (slot.failure) throw Error(slot.failure->code, slot.failure->message);
  std::swap(batch, slot.batch);
  slot.ready = false;
  slot.worker = -1;
  ++s.delivered;
  lock.unlock();
  s.work.notify_one();
  return true;
}

int64_t Loader::batches_per_epoch() const { return state_->sampler.batches(); }
int64_t Loader::batches_ahead(const Sampler& sampler, const LoaderConfig& c) {
  return std::min(c.num_workers * batches_ahead_per_worker, sampler.batches());
}
const Dataset& Loader::dataset() const { return *state_->dataset; }
const Sampler& Loader::sampler() const { return state_->sampler; }

}  // namespace trainer::data
