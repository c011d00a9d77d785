#include "lib/comm/reducer.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>

namespace trainer::comm {

struct Reducer::State {
  struct Bucket {
    Range range;
    Tensor slice;
    std::string name;
    int64_t parameters = 0;
    int64_t missing = 0;  // parameters that are not ready yet
  };

  State(Comm& c, Tensor& arena, std::span<const Range> parameters, const ReducerConfig& config);
  ~State();

  void make_buckets(Tensor& arena, std::span<const Range> parameters, const ReducerConfig& config);
  void run();
  void mark_ready(size_t parameter);
  void wait_for_buckets();
  void sum_tail(Tensor& scalars, int64_t unused);

  Comm& comm;
  std::vector<Bucket> buckets;
  std::vector<size_t> bucket_of;  // by parameter
  Tensor tail;                    // f64: the caller's scalars, and how many parameters are unused
  Tensor flags;                   // i64 by parameter: on how many ranks it is used

  // Of the thread that calls start(), ready() and finish().
  std::vector<char> has_gradient;  // by parameter: ready() in some backward of this step
  std::vector<char> is_ready;      // by parameter: counted in its bucket
  std::vector<char> used;
  bool started = false;
  size_t complete = 0;  // buckets without missing parameters, from the front

  // Shared with the thread that reduces.
  std::mutex mutex;
  std::condition_variable changed;
  size_t released = 0, reduced = 0;  // buckets of this step, from the front
  bool stopping = false;
  std::exception_ptr error;
  std::thread thread;
};

Reducer::State::State(Comm& c, Tensor& arena, std::span<const Range> parameters, const ReducerConfig& config)
    : comm(c), has_gradient(parameters.size()), used(parameters.size(), 1) {
  check(arena.defined() && arena.rank() == 1, "the arena of the gradients needs one dimension, not {}",
        arena.shape());
  int64_t before = 0;
  for (const Range& p : parameters) {
    check(p.begin >= before && p.end >= p.begin && p.end <= arena.numel(),
          "the gradient at [{}, {}) does not lie between {} and the arena's end, {}", p.begin, p.end, before,
          arena.numel());
    before = p.end;
  }
  if (comm.size() == 1) return;
  make_buckets(arena, parameters, config);
  is_ready.resize(parameters.size());
  flags = Tensor::zeros({static_cast<int64_t>(parameters.size())}, DType::i64);
  thread = std::thread([this] { run(); });
}

void Reducer::State::make_buckets(Tensor& arena, std::span<const Range> parameters,
                                  const ReducerConfig& config) {
  for (const Range& r : cut_buckets(parameters, static_cast<int64_t>(size_of(arena.dtype())), config)) {
    buckets.push_back({r, arena.slice(r.begin, r.end), fmt::format("gradients[{}]", buckets.size())});
  }
  if (buckets.empty()) return;
  size_t b = 0;
  for (const Range& p : parameters) {  // those without elements belong somewhere, too
    if (p.begin < p.end && p.end > buckets[b].range.end) ++b;
    bucket_of.push_back(b);
    ++buckets[b].parameters;
  }
}

Reducer::State::~State() {
  if (!thread.joinable()) return;
  if (started) comm.abort("it left a step before its end");
  {
    const std::lock_guard lock(mutex);
    stopping = true;
  }
  changed.notify_all();
  thread.join();
}

/// Reduces what has been released, in order, until the end or an error.
void Reducer::State::run() {
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [&] { return stopping || reduced < released; });
    if (stopping) return;
    Bucket& bucket = buckets[reduced];
    lock.unlock();
    std::exception_ptr thrown;
    try {
      comm.all_reduce(bucket.slice, bucket.name);
    } catch (...) {
      thrown = std::current_exception();
    }
    lock.lock();
    ++reduced;
    if (thrown) error = thrown;
    changed.notify_all();
    if (error) return;
  }
}

/// Releases buckets, of which all parameters are ready and all buckets before have been released.
void Reducer::State::mark_ready(size_t parameter) {
  if (buckets.empty() || std::exchange(is_ready[parameter], 1) != 0) return;
  --buckets[bucket_of[parameter]].missing;
  const size_t before = complete;
  while (complete < buckets.size() && buckets[complete].missing == 0) ++complete;
  if (complete == before) return;
  {
    const std::lock_guard lock(mutex);
    released = complete;
  }
  changed.notify_all();
}

void Reducer::State::wait_for_buckets() {
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return error || reduced == buckets.size(); });
  if (error) std::rethrow_exception(error);
}

/// One small sum for the caller's scalars and ours; leaves in `used` what some rank has used.
void Reducer::State::sum_tail(Tensor& scalars, int64_t unused) {
  const int64_t n = scalars.numel();
  if (!tail.defined() || tail.numel() != n + 1) tail = Tensor::empty({n + 1}, DType::f64);
  const std::span<double> values = tail.span<double>();
  std::ranges::copy(scalars.span<double>(), values.begin());
  values.back() = static_cast<double>(unused);
  comm.all_reduce(tail, "scalars");
  std::ranges::copy(values.first(static_cast<size_t>(n)), scalars.data<double>());
  if (values.back() == 0) {
    std::ranges::fill(used, 1);
    return;
  }
  std::ranges::copy(has_gradient, flags.data<int64_t>());
  comm.all_reduce(flags, "used parameters");
  std::ranges::transform(flags.span<int64_t>(), used.begin(),
                         [](int64_t ranks) { return static_cast<char>(ranks != 0); });
}

Reducer::Reducer(Comm& comm, Tensor& arena, std::span<const Range> parameters, const ReducerConfig& config)
    : state_(std::make_unique<State>(comm, arena, parameters, config)) {}
Reducer::~Reducer() = default;

void Reducer::start() {
  State& s = *state_;
  check(!s.started, "a step of the reducer is begun twice");
  s.started = true;
  if (s.comm.size() == 1) return;
  std::ranges::fill(s.is_ready, 0);
  for (State::Bucket& bucket : s.buckets) bucket.missing = bucket.parameters;
  s.complete = 0;
  const std::lock_guard lock(s.mutex);
  s.released = s.reduced = 0;
}

void Reducer::ready(int64_t index) noexcept {
  State& s = *state_;
  const auto i = static_cast<size_t>(index);
  s.has_gradient[i] = 1;
  if (s.started) s.mark_ready(i);
}

void Reducer::finish(Tensor& scalars, const std::function<void(int64_t index)>& zero) {
  State& s = *state_;
  check(s.started, "a step of the reducer ends that was not begun");
  int64_t unused = 0;
  for (size_t i = 0; i < s.has_gradient.size(); ++i) {
    if (s.has_gradient[i] == 0) {
      ++unused;
      zero(static_cast<int64_t>(i));
    }
    s.mark_ready(i);
  }
  if (s.comm.size() > 1) {
    s.wait_for_buckets();
    s.sum_tail(scalars, unused);
  } else {
    s.used = s.has_gradient;
  }
  std::ranges::fill(s.has_gradient, 0);
  s.started = false;
}

const std::vector<char>& Reducer::used() const { return state_->used; }

std::vector<Range> Reducer::buckets() const {
  std::vector<Range> ranges;
  for (const State::Bucket& bucket : state_->buckets) ranges.push_back(bucket.range);
  return ranges;
}

}  // namespace trainer::comm
