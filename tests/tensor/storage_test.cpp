#include "lib/tensor/storage.h"

#include <cstring>
#include <thread>
#include <vector>

#include "lib/base/error.h"
#include "tests/catch.h"

using namespace trainer;

namespace {

constexpr Device ref{Device::Kind::ref};

}  // namespace

TEST_CASE("blocks are aligned and as large as asked for") {
  for (const size_t bytes :
       {size_t{0}, size_t{1}, size_t{64}, size_t{65}, size_t{512}, size_t{513}, size_t{100'000}}) {
    const Storage s(bytes, ref);
    CAPTURE(bytes);
    CHECK(s.bytes() == bytes);
    CHECK(s.device() == ref);
    CHECK(reinterpret_cast<uintptr_t>(s.data()) % 64 == 0);
    std::memset(s.data(), 1, bytes);
  }
}

TEST_CASE("copies share a block, it is unique again when they are gone") {
  Storage a(100, ref);
  CHECK(a.unique());
  {
    const Storage b = a;
    CHECK(b.same(a));
    CHECK_FALSE(a.unique());
  }
  CHECK(a.unique());
  const Storage moved = std::move(a);
  CHECK(moved.unique());
  CHECK_FALSE(static_cast<bool>(a));  // NOLINT: a moved-from handle is empty
}

TEST_CASE("a freed block serves the next request of its size class") {
  const std::byte* first = Storage(10'000, ref).data();
  const PoolStatistics before = pool_statistics(ref);
  const Storage again(9'800, ref);
  CHECK(again.data() == first);
  CHECK(pool_statistics(ref).growths == before.growths);
  CHECK(pool_statistics(ref).reserved == before.reserved);
}

TEST_CASE("what is reserved serves as many requests at once, and no more is taken for what is there") {
  reserve(777'777, 3, ref);
  const PoolStatistics before = pool_statistics(ref);
  reserve(777'777, 3, ref);
  reserve(0, 3, ref);
  {
    const Storage a(777'777, ref), b(770'000, ref), c(777'777, ref);
    CHECK(pool_statistics(ref).growths == before.growths);
    const Storage d(777'777, ref);
    CHECK(pool_statistics(ref).growths == before.growths + 1);
  }
  CHECK(pool_statistics(ref).in_use == before.in_use);
  CHECK_THROWS_WITH(reserve(size_t{1} << 60, 1, ref), Catch::Matchers::Contains("out of memory"));
}

TEST_CASE("statistics count live blocks, with at most an eighth for rounding") {
  const int64_t before = pool_statistics(ref).in_use;
  for (const int64_t bytes : {600, 1000, 4097, 70'000, 1'000'001}) {
    CAPTURE(bytes);
    const Storage s(static_cast<size_t>(bytes), ref);
    const int64_t taken = pool_statistics(ref).in_use - before;
    CHECK(taken >= bytes);
    CHECK(taken <= bytes + bytes / 8 + 64);
    CHECK(pool_statistics(ref).peak >= before + taken);
  }
  CHECK(pool_statistics(ref).in_use == before);
}

TEST_CASE("each device has a pool of its own") {
  const int64_t cpu = pool_statistics(Device{}).in_use;
  const Storage s(1 << 20, ref);
  CHECK(pool_statistics(Device{}).in_use == cpu);
}

TEST_CASE("external memory is used in place and released with the last handle") {
  auto owner = std::make_shared<std::vector<std::byte>>(16);
  const std::weak_ptr<std::vector<std::byte>> alive = owner;
  Storage s(owner->data(), owner->size(), Device{}, owner);
  CHECK(s.data() == owner->data());
  owner.reset();
  CHECK_FALSE(alive.expired());
  s = Storage();
  CHECK(alive.expired());
}

TEST_CASE("a request that no memory can serve is an Error, and the pool goes on") {
  CHECK_THROWS_WITH(Storage(size_t{1} << 50, ref),
                    ContainsSubstring("out of memory: 1125899906842624 bytes"));
  CHECK(Storage(100, ref).bytes() == 100);
}

TEST_CASE("storages may be made, copied and dropped by several threads at once") {
  const int64_t before = pool_statistics(ref).in_use;
  const Storage shared(1000, ref);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 2000; ++i) {
        const Storage own(100 * (i % 7) + static_cast<size_t>(t), ref), copy = shared;
        std::memset(own.data(), t, own.bytes());
      }
    });
  }
  for (std::thread& t : threads) t.join();
  CHECK(shared.unique());
  CHECK(pool_statistics(ref).in_use == before + 1024);
}

TEST_CASE("statistics count the largest request that each block has served") {
  const int64_t before = pool_statistics(ref).touched;
  const size_t size = 3'000'017;  // of a class that no other test uses
  { const Storage s(size, ref); }
  CHECK(pool_statistics(ref).touched == before + static_cast<int64_t>(size));
  { const Storage s(size - 1000, ref); }
  CHECK(pool_statistics(ref).touched == before + static_cast<int64_t>(size));
  { const Storage s(size + 1000, ref); }
  CHECK(pool_statistics(ref).touched == before + static_cast<int64_t>(size) + 1000);
}
