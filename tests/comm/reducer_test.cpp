#include "lib/comm/reducer.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <numeric>
#include <random>

#include "tests/comm/ranks.h"

using namespace trainer;
using namespace trainer::comm;

namespace trainer::comm {
bool operator==(const Range& a, const Range& b) { return a.begin == b.begin && a.end == b.end; }
std::ostream& operator<<(std::ostream& out, const Range& r) { return out << r.begin << ".." << r.end; }
}  // namespace trainer::comm

namespace {

/// Parameters of as many elements, one behind the other.
std::vector<Range> ranges_of(const std::vector<int64_t>& sizes, int64_t gap = 0) {
  std::vector<Range> ranges;
  int64_t begin = 0;
  for (const int64_t size : sizes) {
    ranges.push_back({begin, begin + size});
    begin += size + gap;
  }
  return ranges;
}

std::vector<Range> cut(const std::vector<int64_t>& sizes, int64_t first, int64_t rest) {
  return cut_buckets(ranges_of(sizes), 4, {first, rest});
}

const std::vector<Range> parameters = ranges_of({100, 30, 7, 200, 64, 1, 50, 0, 16}, 3);
constexpr int64_t arena_size = 520;
constexpr ReducerConfig small_buckets = {400, 600};

/// The gradient of parameter i on a rank in a step.
float gradient(int64_t i, int rank, int step) { return static_cast<float>(i * 10 + rank * 3 + step + 1); }

void fill(Tensor& arena, int64_t i, float value, bool add = false) {
  const Range range = parameters[static_cast<size_t>(i)];
  for (int64_t e = range.begin; e < range.end; ++e) {
    float& x = arena.data<float>()[e];
    x = add ? x + value : value;
  }
}

void require_values(const Tensor& arena, int64_t i, float value) {
  const Range range = parameters[static_cast<size_t>(i)];
  for (int64_t e = range.begin; e < range.end; ++e) {
    const float x = arena.data<float>()[e];
    check(x == value, "parameter {}: {} instead of {}", i, x, value);
  }
}

const auto count = static_cast<int64_t>(parameters.size());

}  // namespace

TEST_CASE("reducer: buckets end where parameters do") {
  const auto ranges = [](std::initializer_list<Range> all) { return std::vector<Range>(all); };
  // PyTorch's limits of [40, 80] bytes (test_multi_limit_single_dtype) and of 400 bytes.
  CHECK(cut({10, 10, 10, 10}, 40, 80) == ranges({{0, 10}, {10, 30}, {30, 40}}));
  CHECK(cut({100, 200, 100, 50}, 400, 400) == ranges({{0, 100}, {100, 300}, {300, 400}, {400, 450}}));
  // The last bucket is a small one.
  CHECK(cut({10, 10, 10, 10, 10}, 40, 400) == ranges({{0, 10}, {10, 40}, {40, 50}}));
  CHECK(cut({10, 10, 4, 6}, 40, 400) == ranges({{0, 10}, {10, 20}, {20, 30}}));
  CHECK(cut({10, 10, 50}, 40, 400) == ranges({{0, 10}, {10, 20}, {20, 70}}));
  // A parameter that is larger than a bucket is one.
  CHECK(cut({1, 1000, 1}, 40, 80) == ranges({{0, 1}, {1, 1001}, {1001, 1002}}));
  CHECK(cut({1000}, 40, 80) == ranges({{0, 1000}}));
  CHECK(cut({3, 3, 3}, 40, 80) == ranges({{0, 9}}));
  // Never an empty one.
  CHECK(cut({}, 40, 80).empty());
  CHECK(cut({0, 0}, 40, 80).empty());
  CHECK(cut({0, 10, 0, 10, 0}, 40, 80) == ranges({{0, 10}, {10, 20}}));
  // Gaps within a bucket belong to it.
  CHECK(cut_buckets(ranges_of({4, 4, 4, 4}, 2), 4, {40, 64}) == ranges({{0, 10}, {12, 22}}));
}

TEST_CASE("reducer: the default sizes are 1 MB, then 25 MB") {
  const auto buckets = cut_buckets(ranges_of(std::vector<int64_t>(400, 65536)), 4);  // 100 MB in 256 kB
  REQUIRE(buckets.size() > 4);
  CHECK(buckets.front().end == 262144);
  CHECK(buckets[1].end - buckets[1].begin == 25 * 262144);
  CHECK(buckets.back().end - buckets.back().begin <= 262144);
  CHECK(buckets.back().end == 400 * 65536);
}

TEST_CASE("reducer: sums gradients in whatever order they are ready") {
  for (const int size : {1, 2, 3}) {
    require_ok(run_local(size, [](Comm& comm) {
      Tensor arena = Tensor::zeros({arena_size});
      Reducer reducer(comm, arena, parameters, small_buckets);
      check(comm.size() == 1 ? reducer.buckets().empty() : reducer.buckets().size() > 3, "{} buckets",
            reducer.buckets().size());
      std::mt19937 random(static_cast<unsigned>(comm.rank()));
      std::vector<int64_t> order(parameters.size());
      std::iota(order.begin(), order.end(), 0);
      for (int step = 0; step < 200; ++step) {
        std::shuffle(order.begin(), order.end(), random);
        reducer.start();
        for (const int64_t i : order) {
          fill(arena, i, gradient(i, comm.rank(), step));
          reducer.ready(i);
        }
        Tensor scalars = Tensor::full({2}, comm.rank() + 0.5, DType::f64);
        reducer.finish(scalars, [](int64_t i) { fail(Exit::internal, "{} was ready", i); });
        double ranks = 0;
        for (int r = 0; r < comm.size(); ++r) ranks += r + 0.5;
        check(scalars.data<double>()[0] == ranks && scalars.data<double>()[1] == ranks, "wrong scalars");
        for (int64_t i = 0; i < count; ++i) {
          float expected = 0;
          for (int r = 0; r < comm.size(); ++r) expected += gradient(i, r, step);
          require_values(arena, i, expected);
        }
        check(std::ranges::all_of(reducer.used(), [](char u) { return u != 0; }), "all are used");
      }
    }));
  }
}

TEST_CASE("reducer: parameters that are unused here, or everywhere") {
  for (const int size : {1, 2, 4}) {
    require_ok(run_local(size, [](Comm& comm) {
      Tensor arena = Tensor::full({arena_size}, 1e9);
      Reducer reducer(comm, arena, parameters, small_buckets);
      // In step s parameter i is unused on rank r if...
      const auto unused = [](int64_t i, int r, int step) {
        if (step % 3 == 0) return false;
        return i == 3 || (i == 0 && r == 0) || (i == 5 && r != 0) || (step % 3 == 2 && i == 6);
      };
      for (int step = 0; step < 30; ++step) {
        reducer.start();
        for (int64_t i = 0; i < count; ++i) {
          if (unused(i, comm.rank(), step)) continue;
          fill(arena, i, gradient(i, comm.rank(), step));
          reducer.ready(i);
        }
        Tensor scalars = Tensor::zeros({0}, DType::f64);
        reducer.finish(scalars, [&](int64_t i) {
          check(unused(i, comm.rank(), step), "{} was ready", i);
          fill(arena, i, 0);
        });
        for (int64_t i = 0; i < count; ++i) {
          float sum = 0;
          bool used = false;
          for (int r = 0; r < comm.size(); ++r) {
            if (unused(i, r, step)) continue;
            sum += gradient(i, r, step);
            used = true;
          }
          require_values(arena, i, sum);
          check((reducer.used()[static_cast<size_t>(i)] != 0) == used, "step {}: {} is {}used", step, i,
                used ? "" : "not ");
        }
      }
    }));
  }
}

TEST_CASE("reducer: micro-batches before the last only gather") {
  require_ok(run_local(2, [](Comm& comm) {
    Tensor arena = Tensor::zeros({arena_size});
    Reducer reducer(comm, arena, parameters, small_buckets);
    for (int step = 0; step < 20; ++step) {
      arena.zero();
      for (int micro = 0; micro < 3; ++micro) {
        if (micro == 2) reducer.start();
        for (int64_t i = 0; i < count; ++i) {
          if (i == 4 && micro == 2) continue;  // has a gradient, but not from the last micro-batch
          if (i == 6) continue;
          fill(arena, i, gradient(i, comm.rank(), micro), true);
          reducer.ready(i);
        }
      }
      Tensor scalars = Tensor::zeros({1}, DType::f64);
      std::vector<int64_t> zeroed;
      reducer.finish(scalars, [&](int64_t i) { zeroed.push_back(i); });
      check(zeroed == std::vector<int64_t>{6}, "{} parameters were to be zeroed", zeroed.size());
      for (int64_t i = 0; i < count; ++i) {
        float sum = 0;
        for (int micro = 0; micro < 3; ++micro) {
          if (i == 6 || (i == 4 && micro == 2)) continue;
          sum += gradient(i, 0, micro) + gradient(i, 1, micro);
        }
        require_values(arena, i, sum);
        check((reducer.used()[static_cast<size_t>(i)] != 0) == (i != 6), "{}", i);
      }
    }
  }));
}

TEST_CASE("reducer: a bucket is sent as soon as it and all before it are complete") {
  /// One of two ranks, of which the other does not exist.
  class Recorder final : public Comm {
   public:
    Recorder() : Comm(0, 2) {}
    /// What has been summed, once that is so many tensors.
    std::vector<std::string> names(size_t expected) {
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, std::chrono::seconds(20), [&] { return names_.size() >= expected; });
      return names_;
    }

   private:
    void do_all_reduce(const Call& call, Tensor&) override {
      const std::lock_guard lock(mutex_);
      names_.push_back(call.text);
      changed_.notify_all();
    }
    void do_broadcast(const Call&, Tensor&, int) override {}
    std::vector<std::string> do_all_gather(const Call&, std::string_view bytes) override {
      return {2, std::string(bytes)};
    }
    void do_abort(const std::string&) override {}
    std::unique_ptr<comm::Comm> do_duplicate(const std::string&) override { return nullptr; }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> names_;
  } comm;

  Tensor arena = Tensor::zeros({arena_size});
  Reducer reducer(comm, arena, parameters, small_buckets);
  REQUIRE(reducer.buckets() == std::vector<Range>{{0, 100}, {103, 143}, {146, 346}, {349, 413}, {416, 492}});
  using Names = std::vector<std::string>;
  reducer.start();
  reducer.ready(3);  // the third bucket has to wait
  CHECK(reducer.buckets().size() == 5);
  reducer.ready(0);
  CHECK(comm.names(1) == Names{"all_reduce gradients[0] f32 [100]"});
  reducer.ready(1);
  reducer.ready(2);
  CHECK(comm.names(3).back() == "all_reduce gradients[2] f32 [200]");
  for (const int64_t i : {8, 7, 6, 5, 4}) reducer.ready(i);
  CHECK(comm.names(5).size() == 5);
  Tensor scalars = Tensor::zeros({1}, DType::f64);
  reducer.finish(scalars, [](int64_t) {});
  CHECK(comm.names(6).back() == "all_reduce scalars f64 [2]");
}

TEST_CASE("reducer: models of other sizes end in an error, on every rank") {
  const auto outcomes = run_local(2, [](Comm& comm) {
    Tensor arena = Tensor::zeros({arena_size});
    std::vector<Range> mine = parameters;
    if (comm.rank() == 1) mine[3].end -= 1;
    Reducer reducer(comm, arena, mine, small_buckets);
    reducer.start();
    for (int64_t i = 0; i < count; ++i) reducer.ready(i);
    Tensor scalars = Tensor::zeros({1}, DType::f64);
    reducer.finish(scalars, [](int64_t) {});
  });
  for (const Outcome& outcome : outcomes) {
    CHECK(outcome.code == Exit::distributed);
    CHECK_THAT(
        outcome.message,
        ContainsSubstring("ranks call different things (#3): rank 0 all_reduce gradients[2] f32 [200]"));
  }
}

TEST_CASE("reducer: a rank that stops in the middle of backward does not keep the others waiting") {
  for (const Kind& kind : kinds()) {
    INFO(kind.name);
    const auto outcomes = kind.run(
        2,
        [](Comm& comm) {
          Tensor arena = Tensor::zeros({arena_size});
          Reducer reducer(comm, arena, parameters, small_buckets);
          reducer.start();
          reducer.ready(0);
          if (comm.rank() == 1) fail(Exit::data, "image 7 is broken");
          for (int64_t i = 1; i < count; ++i) reducer.ready(i);
          Tensor scalars = Tensor::zeros({1}, DType::f64);
          reducer.finish(scalars, [](int64_t) {});
        },
        60);
    CHECK(outcomes[1].message == "image 7 is broken");
    CHECK(outcomes[0].code == Exit::distributed);
    CHECK_THAT(outcomes[0].message, ContainsSubstring("rank 1 "));
  }
}

TEST_CASE("reducer: ranges that overlap or leave the arena are refused") {
  require_ok(run_local(1, [](Comm& comm) {
    Tensor arena = Tensor::zeros({10});
    for (const std::vector<Range>& wrong :
         {std::vector<Range>{{0, 4}, {3, 5}}, std::vector<Range>{{0, 11}}, std::vector<Range>{{-1, 2}}}) {
      bool refused = false;
      try {
        Reducer(comm, arena, wrong);
      } catch (const Error&) {
        refused = true;
      }
      check(refused, "[{}, {}) was taken", wrong.back().begin, wrong.back().end);
    }
  }));
}
