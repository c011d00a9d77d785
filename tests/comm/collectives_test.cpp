#include <algorithm>
#include <atomic>
#include <cstring>

#include "tests/comm/ranks.h"

using namespace trainer;
using namespace trainer::comm;

namespace {

/// Values whose sums depend on the order of addition; small integers for i64.
template <class T>
Tensor some(int64_t n, int rank) {
  Tensor t = Tensor::empty({n}, dtype_of<T>);
  for (int64_t i = 0; i < n; ++i) {
    const auto x = static_cast<double>((i * 7919 + rank * 104729) % 1009) / 31.0 - 16.0;
    t.data<T>()[i] = static_cast<T>(x * (rank % 2 == 0 ? 1.0 : 1e3));
  }
  return t;
}

/// What all_reduce promises: the ranks' values, added in their order.
template <class T>
Tensor expected_sum(int64_t n, int size) {
  Tensor sum = some<T>(n, 0);
  for (int r = 1; r < size; ++r) {
    const Tensor other = some<T>(n, r);
    for (int64_t i = 0; i < n; ++i) sum.data<T>()[i] += other.data<T>()[i];
  }
  return sum;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
}

template <class T>
void reduce_all_sizes(Comm& comm, const std::vector<int64_t>& sizes) {
  for (const int64_t n : sizes) {
    Tensor t = some<T>(n, comm.rank());
    comm.all_reduce(t, "t");
    check(same_bits(t, expected_sum<T>(n, comm.size())), "{} of {}: wrong sum of {}", comm.rank(),
          comm.size(), describe(t));
  }
}

}  // namespace

TEST_CASE("comm: all_reduce adds in the order of the ranks, whatever the size and dtype") {
  for (const Kind& kind : kinds()) {
    for (const int size : {1, 2, 3, 4}) {
      INFO(kind.name << ", " << size << " ranks");
      require_ok(kind.run(
          size,
          [](Comm& comm) {
            const std::vector<int64_t> sizes = {0, 1, 2, 3, 5, 25, 1000, 8192, 8193, 262144, 300007};
            reduce_all_sizes<float>(comm, sizes);
            reduce_all_sizes<double>(comm, sizes);
            reduce_all_sizes<int64_t>(comm, sizes);
          },
          60));
    }
  }
}

TEST_CASE("comm: 25 MB, twice the same bits, however it is cut up") {
  static constexpr int64_t n = (25 << 20) / 4 + 3;
  for (const Kind& kind : kinds()) {
    INFO(kind.name);
    require_ok(kind.run(
        3,
        [](Comm& comm) {
          Tensor whole = some<float>(n, comm.rank()), again = whole.clone(), cut = whole.clone();
          comm.all_reduce(whole, "whole");
          comm.all_reduce(again, "whole");
          check(same_bits(whole, again), "another run, other bits");
          for (int64_t begin = 0; begin < n; begin += 1234567) {
            Tensor slice = cut.slice(begin, std::min<int64_t>(begin + 1234567, n));
            comm.all_reduce(slice, "slice");
          }
          check(same_bits(whole, cut), "cut up, other bits");
        },
        60));
  }
}

TEST_CASE("comm: broadcast of any dtype from any rank") {
  for (const Kind& kind : kinds()) {
    for (const int size : {1, 2, 4}) {
      INFO(kind.name << ", " << size << " ranks");
      require_ok(kind.run(
          size,
          [](Comm& comm) {
            for (const DType dtype :
                 {DType::f32, DType::f64, DType::f16, DType::bf16, DType::i32, DType::i64, DType::u8}) {
              for (int root = 0; root < comm.size(); ++root) {
                for (const int64_t n : {0, 1, 7, 100000}) {
                  Tensor t = Tensor::empty({n}, dtype);
                  if (n > 0) std::memset(t.raw(), comm.rank() == root ? 17 + root : 0, t.bytes());
                  comm.broadcast(t, root, "t");
                  check(std::all_of(t.raw(), t.raw() + t.bytes(),
                                    [&](std::byte b) { return std::to_integer<int>(b) == 17 + root; }),
                        "{}: not what rank {} has", describe(t), root);
                }
              }
            }
          },
          60));
    }
  }
}

TEST_CASE("comm: all_gather of texts of any length") {
  for (const Kind& kind : kinds()) {
    for (const int size : {1, 2, 3, 4}) {
      INFO(kind.name << ", " << size << " ranks");
      require_ok(kind.run(
          size,
          [](Comm& comm) {
            for (const size_t length : {0, 1, 4087, 4088, 4089, 200000}) {
              const auto text = [&](int r) {
                return std::string(length * static_cast<size_t>(r), static_cast<char>('a' + r)) + "!";
              };
              const auto all = comm.all_gather(text(comm.rank()), "texts");
              check(static_cast<int>(all.size()) == comm.size(), "{} texts", all.size());
              for (int r = 0; r < comm.size(); ++r) {
                check(all[static_cast<size_t>(r)] == text(r), "text of {} bytes of rank {} is wrong", length,
                      r);
              }
              comm.barrier("after");
            }
          },
          60));
    }
  }
}

TEST_CASE("comm: a barrier holds everybody until the last has come") {
  for (const Kind& kind : kinds()) {
    INFO(kind.name);
    std::atomic<int> come = 0;
    require_ok(kind.run(
        3,
        [&](Comm& comm) {
          if (comm.rank() == 2) std::this_thread::sleep_for(std::chrono::milliseconds(50));
          ++come;
          comm.barrier("all");
          check(come == 3, "only {} have come", come.load());
        },
        20));
  }
}

TEST_CASE("comm: what cannot be summed is refused at once") {
  require_ok(run_local(1, [](Comm& comm) {
    const auto error_of = [&](Tensor t) -> std::string {
      try {
        comm.all_reduce(t, "x");
      } catch (const Error& error) {
        return error.what();
      }
      return "";
    };
    check(error_of(Tensor::zeros({2}, DType::f16)).find("f16 is not summed") != std::string::npos, "f16");
    check(error_of(Tensor()).find("there is no tensor") != std::string::npos, "undefined");
  }));
}

TEST_CASE("comm: backends by name") {
  const auto make = [](const std::string& backend, int size) {
    config::Config config = config::Config::defaults();
    config.set("COMM.BACKEND", backend);
    World world;
    world.size = size;
    return make_comm(config::bind<CommConfig>(config.group("COMM")), config.group("COMM"), world);
  };
  CHECK(make("auto", 1)->size() == 1);
  CHECK(make("single", 1)->size() == 1);
  CHECK(make("gloo", 1)->size() == 1);
  CHECK_THROWS_WITH(make("nccl", 1), ContainsSubstring("nccl is known but not implemented yet"));
  CHECK_THROWS_WITH(make("shm", 2), ContainsSubstring("shm is known but not implemented yet"));
  CHECK_THROWS_WITH(make("single", 2), ContainsSubstring("for one rank; there are 2"));
  CHECK_THROWS_WITH(make("glo", 1), ContainsSubstring("unknown communication backend 'glo'"));
}
