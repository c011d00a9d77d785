// Cases of ops: listed once per family in <family>_cases.cpp, used by every driver.
//
//   std::vector<Case> relu_cases() { ... }
//   TEST_OP("relu", relu_cases, ops::Relu, ops::ReluBackward);   // test_ops [relu]
//
// That gives two tests. "backends": every backend with kernels for these ops computes what ref computes,
// forward and backward; on the CPU also with the loops for the oldest processors, and in deterministic mode with
// the same bits on any number of threads.
// "gradients": the backward kernels of ref are the derivatives of its forward kernels, by central differences
// in f64.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "lib/base/rng.h"
#include "lib/tensor/kernels.h"
#include "tests/catch.h"

namespace trainer::test {

using Tensors = std::vector<Tensor>;

/// Random inputs of a case on the reference device; the same for every backend.
class Inputs {
 public:
  /// Activations and weights have type `dtype`; statistics and arenas the accumulation type (f64 for f64,
  /// else f32).
  explicit Inputs(DType dtype, uint64_t seed = 0) : dtype_(dtype), rng_(seed) {}

  Tensor normal(const Shape&);
  /// Like normal(), but each element is one of -1, 0, 1: ties everywhere.
  Tensor ties(const Shape&);
  /// Like normal(), but some elements are NaN, infinite or -0.
  Tensor special(const Shape&);
  /// normal() times 50: exp() of it overflows.
  Tensor large(const Shape&);
  Tensor statistic(const Shape&);
  Tensor variance(const Shape&);  ///< in [0.5, 1.5)
  Tensor labels(int64_t rows, int64_t classes);
  Tensor probabilities(int64_t rows, int64_t classes);  ///< rows sum to 1
  Tensor f64(const std::vector<double>& values);        ///< [n], whatever the dtype is

 private:
  Tensor fill(const Shape&, DType, const std::function<double(uint64_t)>& value);
  DType dtype_;
  Rng rng_;
  uint64_t next_ = 0;
};

struct Case {
  std::string name;
  /// The longest sum in any of its kernels: rounding errors grow with its square root.
  int64_t terms = 1;
  std::function<Tensors(Inputs&)> inputs;
  /// out[0] is what backward differentiates; the rest is other results and what backward needs.
  std::function<Tensors(const Tensors& in)> forward;
  /// A gradient per input, undefined where there is none; none at all if the op has no backward pass.
  std::function<Tensors(const Tensors& in, const Tensors& out, const Tensor& dy)> backward = {};
  /// Outputs are selected or correctly rounded inputs, so they have to be equal.
  bool exact = false;
};

using HasKernels = bool(Device::Kind);
template <class... Ops>
bool has_kernels(Device::Kind kind) {
  return (Kernels<Ops>::has(kind) && ...);
}

void compare_backends(const std::string& op, const std::vector<Case>&, HasKernels*);
void check_gradients(const std::vector<Case>&);

/// "" or where and by how much `got` differs from `expected`; NaN equals NaN. `tolerance` is relative to an
/// element plus the root mean square of the tensor, 0: equal. Dtypes may differ.
std::string difference(const Tensor& got, const Tensor& expected, double tolerance);

}  // namespace trainer::test

#define TEST_OP(op, cases, ...)                                                            \
  TEST_CASE(op ": backends", "[" op "][backends]") {                                       \
    trainer::test::compare_backends(op, cases(), trainer::test::has_kernels<__VA_ARGS__>); \
  }                                                                                        \
  TEST_CASE(op ": gradients", "[" op "][gradients]") { trainer::test::check_gradients(cases()); }
