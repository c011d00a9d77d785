// What an all-reduce costs; a report, and bounds that only a blunder exceeds.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "lib/base/system.h"
#include "tests/comm/ranks.h"

using namespace trainer;
using namespace trainer::comm;

namespace {

/// Median seconds of one all-reduce, on rank 0.
double median_seconds(Comm& comm, int64_t bytes, int repeats) {
  Tensor t = Tensor::zeros({bytes / 4});
  comm.all_reduce(t, "t");
  std::vector<double> times;
  for (int i = 0; i < repeats; ++i) {
    const double begin = now();
    comm.all_reduce(t, "t");
    times.push_back(now() - begin);
  }
  std::ranges::sort(times);
  return times[times.size() / 2];
}

}  // namespace

TEST_CASE("gloo: latency and bandwidth of two processes", "[timing]") {
  if (!can_test_gloo()) return;
  const std::string address = fmt::format("unix:@trainer-comm-speed-{}", ::getpid());
  const double begin = now();
  const pid_t other = ::fork();
  double first = 0;
  std::vector<std::pair<int64_t, double>> rows;
  {
    const auto comm = make_gloo(other == 0 ? 1 : 0, 2, address, 60, true);
    Tensor t = Tensor::zeros({25});
    comm->all_reduce(t, "first");
    first = now() - begin;
    for (const auto& [bytes, repeats] : {std::pair{100, 500}, {1 << 20, 100}, {25 << 20, 15}}) {
      rows.emplace_back(bytes, median_seconds(*comm, bytes, repeats));
    }
  }
  if (other == 0) ::_exit(0);
  ::waitpid(other, nullptr, 0);
  std::string report = fmt::format("two ranks have met after {:.1f} ms", first * 1e3);
  for (const auto& [bytes, seconds] : rows) {
    report += fmt::format("\n{:>9} B: {:8.3f} ms, {:6.2f} GB/s", bytes, seconds * 1e3,
                          static_cast<double>(bytes) / seconds * 1e-9);
  }
  WARN(report);
  CHECK(first < 0.5);  // seconds
  CHECK(rows[0].second < 0.02);
  CHECK(rows[2].second < 0.5);
}
