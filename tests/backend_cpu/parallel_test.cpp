#include "lib/backend/cpu/parallel.h"

#include <atomic>
#include <thread>
#include <vector>

#include "lib/base/error.h"
#include "tests/backend_cpu/with_threads.h"
#include "tests/catch.h"

namespace trainer::cpu {

TEST_CASE("parallel_for visits every index once", "[parallel]") {
  for (const int n_threads : {1, 2, 3, 5}) {
    const WithThreads scope(n_threads);
    for (const int64_t n : {0, 1, 7, 64, 1001}) {
      for (const int64_t grain : {1, 10, 5000}) {
        std::vector<int> visits(static_cast<size_t>(n), 0);
        parallel_for(n, grain, [&](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) ++visits[i];
        });
        CHECK(visits == std::vector<int>(static_cast<size_t>(n), 1));
      }
    }
  }
}

TEST_CASE("parallel_for keeps small work on the calling thread", "[parallel]") {
  const WithThreads scope(4);
  std::vector<std::thread::id> ids;
  parallel_for(100, 51, [&](int64_t begin, int64_t end) {
    CHECK(begin == 0);
    CHECK(end == 100);
    ids.push_back(std::this_thread::get_id());
  });
  CHECK(ids == std::vector{std::this_thread::get_id()});
}

TEST_CASE("parallel_for splits into ranges of at least the grain", "[parallel]") {
  const WithThreads scope(4);
  std::atomic<int> ranges = 0, short_ranges = 0;
  parallel_for(100, 30, [&](int64_t begin, int64_t end) {
    ++ranges;
    if (end - begin < 30) ++short_ranges;
  });
  CHECK(ranges == 3);
  CHECK(short_ranges == 0);
}

TEST_CASE("parallel_for may be nested", "[parallel]") {
  const WithThreads scope(3);
  std::atomic<int64_t> visits = 0;
  parallel_for(6, 1, [&](int64_t begin, int64_t end) {
    parallel_for(end - begin, 1, [&](int64_t b, int64_t e) { visits += e - b; });
  });
  CHECK(visits == 6);
}

TEST_CASE("parallel_chunks have borders that do not depend on the threads", "[parallel]") {
  for (const int n_threads : {1, 2, 5}) {
    const WithThreads scope(n_threads);
    std::vector<std::pair<int64_t, int64_t>> chunks(4);
    parallel_chunks(33, 10, 1, [&](int64_t i, int64_t begin, int64_t end) { chunks[i] = {begin, end}; });
    CHECK(chunks == std::vector<std::pair<int64_t, int64_t>>{{0, 10}, {10, 20}, {20, 30}, {30, 33}});
  }
}

TEST_CASE("set_threads refuses what is no number of threads", "[parallel]") {
  try {
    set_threads(0);
    FAIL("no error");
  } catch (const Error& e) {
    CHECK(e.code() == Exit::usage);
    CHECK_THAT(e.what(), ContainsSubstring("THREADS"));
  }
}

}  // namespace trainer::cpu
