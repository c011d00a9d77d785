#include "lib/tensor/rehearsal.h"

#include <thread>

#include "lib/tensor/tensor.h"
#include "tests/catch.h"

using namespace trainer;

TEST_CASE("a rehearsal is of its thread and scope, and may be nested") {
  CHECK_FALSE(Rehearsal::active());
  {
    const Rehearsal outer;
    { const Rehearsal inner; }
    CHECK(Rehearsal::active());
    bool elsewhere = true;
    std::thread([&] { elsewhere = Rehearsal::active(); }).join();
    CHECK_FALSE(elsewhere);
  }
  CHECK_FALSE(Rehearsal::active());
}

TEST_CASE("in a rehearsal host memory is neither copied nor zeroed") {
  Tensor t = Tensor::full({3}, 7);
  const Tensor other = Tensor::full({3}, 8);
  {
    const Rehearsal rehearsal;
    t.copy_from(other);
    t.zero();
  }
  CHECK(t.span<float>()[2] == 7);
  t.copy_from(other);
  CHECK(t.span<float>()[2] == 8);
}
