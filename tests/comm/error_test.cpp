// What ranks do wrong, or do not do at all: every rank has to end, soon, and say why.
#include <chrono>

#include "lib/base/system.h"
#include "lib/comm/synchronize.h"
#include "tests/comm/ranks.h"

using namespace trainer;
using namespace trainer::comm;

namespace {

void sum(Comm& comm, int64_t n, const std::string& what) {
  Tensor t = Tensor::zeros({n});
  comm.all_reduce(t, what);
}

void sleep_for(double seconds) { std::this_thread::sleep_for(std::chrono::duration<double>(seconds)); }

/// All ranks ended with `code` and said so.
void require_all(const std::vector<Outcome>& outcomes, Exit code, const std::string& message) {
  for (size_t r = 0; r < outcomes.size(); ++r) {
    INFO("rank " << r << ": " << outcomes[r].message);
    REQUIRE(outcomes[r].code == code);
    CHECK_THAT(outcomes[r].message, ContainsSubstring(message));
  }
}

}  // namespace

TEST_CASE("comm: ranks that call different things for the first time are told at once") {
  for (const Kind& kind : kinds()) {
    INFO(kind.name);
    const double begin = now();
    const auto other_shape = [](Comm& comm) { sum(comm, comm.rank() == 1 ? 12 : 10, "gradients[0]"); };
    require_all(
        kind.run(2, other_shape, 20), Exit::distributed,
        "ranks call different things (#1): rank 0 all_reduce gradients[0] f32 [10], rank 1 all_reduce "
        "gradients[0] f32 [12]");
    const auto other_op = [](Comm& comm) {
      sum(comm, 10, "x");
      if (comm.rank() == 2) {
        comm.barrier("epoch");
      } else {
        sum(comm, 10, "metrics");
      }
    };
    require_all(kind.run(3, other_op, 20), Exit::distributed,
                "(#2): rank 0 all_reduce metrics f32 [10], rank 2 barrier epoch");
    CHECK(now() - begin < 10);
  }
}

TEST_CASE("comm: ranks that mix up calls they know are told while they wait") {
  for (const Kind& kind : kinds()) {
    INFO(kind.name);
    const double begin = now();
    const auto swapped = [](Comm& comm) {
      sum(comm, 10, "a");
      sum(comm, 20000, "b");
      sum(comm, comm.rank() == 1 ? 20000 : 10, comm.rank() == 1 ? "b" : "a");
    };
    require_all(kind.run(2, swapped, 30), Exit::distributed, "ranks call different things");
    const auto known_and_new = [](Comm& comm) {
      sum(comm, 10, "a");
      sum(comm, 10, comm.rank() == 0 ? "new" : "a");
    };
    require_all(kind.run(2, known_and_new, 30), Exit::distributed, "ranks call different things");
    CHECK(now() - begin < 20);
  }
}

TEST_CASE("comm: a rank that does not come is named when the time is over") {
  for (const Kind& kind : kinds()) {
    INFO(kind.name);
    std::atomic<int> ended = 0;
    const auto outcomes = kind.run(
        3,
        [&](Comm& comm) {
          sum(comm, 10, "x");
          if (comm.rank() == 2) {
            while (ended < 2) sleep_for(0.01);
            return;
          }
          try {
            sum(comm, 10, "gradients[3]");
          } catch (const Error&) {
            ++ended;
            throw;
          }
        },
        2);
    CHECK(outcomes[2].code == Exit::ok);
    require_all({outcomes[0], outcomes[1]}, Exit::watchdog,
                "all_reduce gradients[3] f32 [10] (#2) has waited 2 s for rank 2");
  }
}

TEST_CASE("comm: a rank that leaves is named, and nobody waits for it") {
  for (const Kind& kind : kinds()) {
    INFO(kind.name);
    const double begin = now();
    const auto outcomes = kind.run(
        3,
        [](Comm& comm) {
          sum(comm, 10, "x");
          if (comm.rank() == 1) fail(Exit::data, "no such file");
          for (int i = 0; i < 3; ++i) sum(comm, 400000, "gradients");
        },
        30);
    CHECK(outcomes[1].message == "no such file");
    require_all({outcomes[0], outcomes[2]}, Exit::distributed, "rank 1 ");
    require_all({outcomes[0], outcomes[2]}, Exit::distributed, "is gone");
    CHECK(now() - begin < 10);
  }
}

TEST_CASE("comm: a rank that gives up takes the others along") {
  for (const Kind& kind : kinds()) {
    INFO(kind.name);
    const double begin = now();
    const auto outcomes = kind.run(
        2,
        [](Comm& comm) {
          sum(comm, 10, "x");
          if (comm.rank() == 1) comm.abort("a parameter is missing");
          sum(comm, 10, "x");
        },
        30);
    require_all(outcomes, Exit::distributed, "a parameter is missing");
    CHECK_THAT(outcomes[0].message, ContainsSubstring("gave up"));
    CHECK(now() - begin < 10);
  }
}

TEST_CASE("comm: a call that waits is ended by abort() from another thread") {
  for (const Kind& kind : kinds()) {
    INFO(kind.name);
    std::atomic<bool> ended = false;
    const auto outcomes = kind.run(
        2,
        [&](Comm& comm) {
          sum(comm, 10, "x");
          if (comm.rank() == 1) {
            while (!ended) sleep_for(0.01);
            return;
          }
          std::thread other([&] {
            sleep_for(0.2);
            comm.abort("enough");
          });
          try {
            sum(comm, 10, "x");
          } catch (const Error&) {
            other.join();
            ended = true;
            throw;
          }
        },
        30);
    CHECK(outcomes[1].code == Exit::ok);
    require_all({outcomes[0]}, Exit::distributed, "enough");
  }
}

TEST_CASE("comm: after an error every call throws it again") {
  require_ok(run_local(2, [](Comm& comm) {
    const auto error_of = [&](const std::string& what) -> std::string {
      try {
        sum(comm, 3 + comm.rank(), what);
      } catch (const Error& error) {
        return error.what();
      }
      return "";
    };
    const std::string first = error_of("a");
    check(!first.empty() && error_of("b") == first, "'{}' is not thrown again", first);
  }));
}

TEST_CASE("comm: parameters are compared, then broadcast") {
  for (const Kind& kind : kinds()) {
    INFO(kind.name);
    require_ok(kind.run(
        3,
        [](Comm& comm) {
          Tensor a = Tensor::full({3, 5}, comm.rank() + 1.0), b = Tensor::full({}, comm.rank(), DType::f64);
          Tensor empty = Tensor::zeros({0}), big = Tensor::full({5'000'000}, comm.rank() + 7.0);
          const std::vector<NamedTensor> all = {{"a", &a}, {"b", &b}, {"empty", &empty}, {"big", &big}};
          broadcast_from_rank0(comm, all, "parameters");
          check(a.data<float>()[14] == 1 && b.item() == 0 && big.data<float>()[0] == 7 &&
                    big.data<float>()[4'999'999] == 7,
                "not rank 0's");
        },
        30));

    const auto outcomes = kind.run(
        3,
        [](Comm& comm) {
          Tensor a = Tensor::zeros({4}), w = Tensor::zeros({comm.rank() == 2 ? 11 : 10, 4});
          const std::vector<NamedTensor> all = {{"a", &a}, {"fc.weight", &w}};
          broadcast_from_rank0(comm, all, "parameters");
        },
        30);
    require_all(
        outcomes, Exit::distributed,
        "the parameters of the ranks differ: rank 0 has fc.weight f32 [10, 4], rank 2 has fc.weight f32 "
        "[11, 4]");

    const auto missing = kind.run(
        2,
        [](Comm& comm) {
          Tensor a = Tensor::zeros({4});
          std::vector<NamedTensor> all = {{"a", &a}, {"b", &a}};
          if (comm.rank() == 0) all.pop_back();
          broadcast_from_rank0(comm, all, "buffers");
        },
        30);
    require_all(missing, Exit::distributed, "rank 0 has nothing, rank 1 has b f32 [4]");
  }
}
