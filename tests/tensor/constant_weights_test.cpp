#include "lib/tensor/constant_weights.h"

#include <thread>

#include "lib/tensor/rehearsal.h"
#include "tests/catch.h"

using namespace trainer;

namespace {

const Derivation doubled{.name = "doubled"}, other{.name = "doubled", .numbers = {1}};

/// The first element of the copy that derived() gives for t.
float twice(const Tensor& t, const Derivation& how = doubled) {
  const Storage s = ConstantWeights::derived(t, how, t.bytes(), [&](std::byte* to) {
    for (int64_t i = 0; i < t.numel(); ++i) reinterpret_cast<float*>(to)[i] = 2 * t.data<float>()[i];
  });
  return reinterpret_cast<const float*>(s.data())[0];
}

/// Copies that f makes on this thread.
template <class F>
int64_t copies(const F& f) {
  const int64_t before = ConstantWeights::copies_made();
  f();
  return ConstantWeights::copies_made() - before;
}

}  // namespace

TEST_CASE("copies of constant weights are made once, and anew when the scope is over") {
  Tensor w = Tensor::full({8}, 1);
  const Storage memory[] = {w.storage()};
  CHECK(copies([&] { twice(w), twice(w); }) == 2);
  const int64_t idle = pool_statistics(Device{}).in_use;
  {
    const ConstantWeights constant(memory);
    CHECK(copies([&] { twice(w), twice(w); }) == 1);
    CHECK(copies([&] { twice(w, other), twice(w, other), twice(w); }) == 1);  // another copy of the same
    CHECK(copies([&] { twice(w.slice(4, 8)), twice(w.slice(4, 8)); }) == 1);  // of another part
    CHECK(copies([&] { twice(w.view({2, 4})); }) == 0);                       // the same memory
    CHECK(pool_statistics(Device{}).in_use > idle);
  }
  CHECK(pool_statistics(Device{}).in_use == idle);
  w.copy_from(Tensor::full({8}, 3));
  const ConstantWeights constant(memory);
  CHECK(twice(w) == 6);
}

TEST_CASE("changed weights are copied anew, in all scopes of the thread") {
  Tensor w = Tensor::full({8}, 1);
  const Storage memory[] = {w.storage()};
  ConstantWeights::changed();  // without a scope: nothing to forget
  const ConstantWeights outer(memory);
  CHECK(twice(w) == 2);
  {
    const ConstantWeights inner(memory);
    CHECK(twice(w) == 2);
    w.copy_from(Tensor::full({8}, 3));
    ConstantWeights::changed();
    CHECK(twice(w) == 6);
  }
  CHECK(copies([&] { CHECK(twice(w) == 6); }) == 1);  // that of the inner scope went with it
  CHECK(copies([&] { CHECK(twice(w) == 6); }) == 0);
}

TEST_CASE("only memory that a scope was told of is constant") {
  Tensor w = Tensor::full({8}, 1);
  const Tensor told = Tensor::full({8}, 5);
  const Storage memory[] = {told.storage()};
  const ConstantWeights constant(memory);
  CHECK(twice(w) == 2);
  w.copy_from(Tensor::full({8}, 3));
  CHECK(twice(w) == 6);
  CHECK(twice(told) == 10);
}

TEST_CASE("scopes are nested: an inner one uses what is there, and takes with it what it adds") {
  const Tensor a = Tensor::full({8}, 1), b = Tensor::full({8}, 2);
  const Storage of_a[] = {a.storage()}, of_b[] = {b.storage()};
  const ConstantWeights outer(of_a);
  twice(a);
  {
    const ConstantWeights inner(of_b);
    CHECK(copies([&] { twice(a), twice(b), twice(b); }) == 1);
    CHECK(copies([&] { twice(a, other), twice(a, other); }) == 1);
  }
  CHECK(copies([&] { twice(a); }) == 0);
  CHECK(copies([&] { twice(b), twice(b); }) == 2);
  CHECK(copies([&] { twice(a, other), twice(a, other); }) == 1);
}

TEST_CASE("a scope is of its thread") {
  const Tensor w = Tensor::full({8}, 1);
  const Storage memory[] = {w.storage()};
  const ConstantWeights constant(memory);
  twice(w);
  int64_t without = 0, with = 0;
  std::thread([&] {
    without = copies([&] { twice(w), twice(w); });
    const ConstantWeights own(memory);
    with = copies([&] { twice(w), twice(w); });
    ConstantWeights::changed();
  }).join();
  CHECK(without == 2);
  CHECK(with == 1);
  CHECK(copies([&] { twice(w); }) == 0);  // nor did the other's end or change touch ours
}

TEST_CASE("a copy that could not be made is not kept") {
  const Tensor w = Tensor::full({8}, 1);
  const Storage memory[] = {w.storage()};
  const ConstantWeights constant(memory);
  CHECK_THROWS(ConstantWeights::derived(w, doubled, w.bytes(), [](std::byte*) { throw 1; }));
  CHECK(twice(w) == 2);
}

TEST_CASE("copies of a rehearsal have no values, and are kept among themselves") {
  const Tensor w = Tensor::full({8}, 1);
  const Storage memory[] = {w.storage()};
  const ConstantWeights constant(memory);
  const auto rehearsed = [&] {
    const Rehearsal rehearsal;
    ConstantWeights::derived(w, doubled, w.bytes(), [](std::byte*) {});
  };
  CHECK(copies([&] { rehearsed(), rehearsed(); }) == 1);
  CHECK(copies([&] { CHECK(twice(w) == 2); }) == 1);
}

TEST_CASE("the second scope takes no new memory") {
  const Tensor w = Tensor::full({64}, 1);
  const Storage memory[] = {w.storage()};
  const auto use = [&] {
    const ConstantWeights constant(memory);
    for (int64_t i = 0; i < 20; ++i) twice(w, {.name = "doubled", .numbers = {i}});
  };
  use();
  const int64_t growths = pool_statistics(Device{}).growths;
  use();
  CHECK(pool_statistics(Device{}).growths == growths);
}
