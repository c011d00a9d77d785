#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/backend_cpu/instruction_sets.h"
#include "tests/backend_cpu/with_threads.h"
#include "tests/ops/cases.h"

namespace trainer::test {
namespace {

constexpr Device ref{Device::Kind::ref};

/// The backends, and the types in which each is compared with ref in f64.
struct Candidate {
  Device device;
  std::vector<DType> dtypes;
};
std::vector<Candidate> candidates() {
  return {{{Device::Kind::ref}, {DType::f32}},
          {{Device::Kind::cpu}, {DType::f32, DType::bf16, DType::f16}},
          {{Device::Kind::cuda}, {DType::f32, DType::f16, DType::bf16}}};
}

double epsilon(DType t) {
  switch (t) {
    case DType::f64:
      return 0x1p-52;
    case DType::f16:
      return 0x1p-10;
    case DType::bf16:
      return 0x1p-7;
    default:
      return 0x1p-23;
  }
}

/// Sums of n terms in any order are off by about sqrt(n) roundings; 16-bit types sum in f32 and round inputs
/// and results. The constant leaves room for transformed algorithms (Winograd F(4, 3) loses four bits).
double tolerance(DType compute, int64_t terms) {
  const double sum =
      epsilon(compute == DType::f64 ? DType::f64 : DType::f32) * 4 * std::sqrt(static_cast<double>(terms));
  return sum + epsilon(compute) * (size_of(compute) == 2 ? 4 : 32);
}

/// What ref computes with in place of t: the same values in f64.
Tensor widened(const Tensor& t) {
  const Tensor host = t.to(ref);
  return is_floating(t.dtype()) ? host.to(DType::f64) : host;
}

Tensors map(const Tensors& tensors, const std::function<Tensor(const Tensor&)>& f) {
  Tensors out;
  for (const Tensor& t : tensors) out.push_back(t.defined() ? f(t) : t);
  return out;
}

void compare(const char* what, const Tensors& got, const Tensors& expected, double tolerance) {
  REQUIRE(got.size() == expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    INFO(what << " " << i);
    REQUIRE(got[i].defined() == expected[i].defined());
    if (got[i].defined()) CHECK(difference(got[i], expected[i], tolerance) == "");
  }
}

bool same_bits(const Tensor& a, const Tensor& b) {
  if (!a.defined() || !b.defined()) return a.defined() == b.defined();
  return a.shape() == b.shape() && a.dtype() == b.dtype() &&
         std::equal(a.raw(), a.raw() + a.bytes(), b.raw());
}

using Compute = std::function<Tensors()>;

/// What the CPU computes in deterministic mode: the same bits on any number of threads.
Tensors on_any_threads(const Compute& compute) {
  const cpu::WithDeterministic deterministic;
  Tensors first;
  for (const int n : {1, 2, 3, 5}) {
    const cpu::WithThreads threads(n);
    const Tensors got = compute();
    if (first.empty()) first = got;
    INFO(n << " threads");
    for (size_t i = 0; i < got.size(); ++i) CHECK(same_bits(got[i], first[i]));
  }
  return first;
}

/// Compares what `compute` gives on a device, in all modes, and returns it.
Tensors checked(const char* what, Device device, const Tensors& expected, double tolerance,
                const Compute& compute) {
  const Tensors got = compute();
  compare(what, got, expected, tolerance);
  if (device.kind != Device::Kind::cpu) return got;
  {
    INFO("oldest instruction set");
    const cpu::OldestInstructionSet scope;
    compare(what, compute(), expected, tolerance);
  }
  INFO("deterministic");
  compare(what, on_any_threads(compute), expected, tolerance);
  return got;
}

void compare_case(const Case& c, Device device, DType dtype) {
  INFO(c.name << ", " << name_of(dtype) << " on " << device.str());
  Inputs source(dtype);
  const Tensors host = c.inputs(source);
  const Tensors in = map(host, [&](const Tensor& t) { return t.to(device); });
  const Tensors ref_in = map(host, widened);

  const Tensors ref_out = c.forward(ref_in);
  const Tensors out = checked("output", device, ref_out, c.exact ? 0 : tolerance(dtype, c.terms),
                              [&] { return c.forward(in); });

  if (!c.backward) return;
  // Both start from the same outputs: a rounding error at a ReLU's corner would otherwise pass for a wrong
  // gradient.
  Tensors saved;
  for (size_t i = 0; i < out.size(); ++i) saved.push_back(ref_out[i].to(out[i].dtype()).to(device));
  const Tensor dy = source.normal(out[0].shape()).to(out[0].dtype());
  const Tensor device_dy = dy.to(device);
  checked("gradient", device, c.backward(ref_in, map(saved, widened), widened(dy)), tolerance(dtype, c.terms),
          [&] { return c.backward(in, saved, device_dy); });
}

double dot(const Tensor& a, const Tensor& b) {
  const auto x = a.span<double>(), y = b.span<double>();
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

/// Compares one gradient with central differences: of some single elements, which localise an error, and
/// along a random direction, which leaves no element out.
void check_gradient(const Case& c, Tensors in, size_t at, const Tensor& dy, const Tensor& gradient) {
  constexpr double step = 1e-6;
  const Tensor x = in[at];
  const auto along = [&](const Tensor& direction) {
    const auto shifted = [&](double by) {
      in[at] = x.clone();
      double* v = in[at].data<double>();
      for (const double d : direction.span<double>()) *v++ += by * d;
      return dot(c.forward(in)[0], dy);
    };
    const double numeric = (shifted(step) - shifted(-step)) / (2 * step);
    const double expected = dot(gradient, direction);
    CHECK(std::abs(numeric - expected) <= 1e-6 * std::max({1.0, std::abs(numeric), std::abs(expected)}));
  };
  {
    INFO("input " << at << " along a random direction");
    along(Inputs(DType::f64, 1 + at).normal(x.shape()));
  }
  constexpr int64_t elements = 6;
  const int64_t stride = std::max<int64_t>(1, x.numel() / elements);
  for (int64_t i = x.numel() - 1; i >= 0; i -= stride) {
    INFO("input " << at << ", element " << i << " of " << x.shape().str());
    Tensor unit = Tensor::zeros(x.shape(), DType::f64, ref);
    unit.data<double>()[i] = 1;
    along(unit);
  }
}

}  // namespace

std::string difference(const Tensor& got, const Tensor& expected, double tolerance) {
  if (got.shape() != expected.shape()) return describe(got) + ", expected " + describe(expected);
  const Tensor a = got.to(ref).to(DType::f64), b = expected.to(ref).to(DType::f64);
  const double count = std::max(1.0, static_cast<double>(b.numel()));
  double squares = 0;
  for (const double v : b.span<double>()) squares += std::isfinite(v) ? v * v : 0;
  const double typical = std::sqrt(squares / count);
  for (int64_t i = 0; i < a.numel(); ++i) {
    const double x = a.data<double>()[i], y = b.data<double>()[i];
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    const double allowed = tolerance * (std::abs(y) + typical);
    if (std::abs(x - y) <= allowed && std::isfinite(y)) continue;
    return fmt::format("element {} of {} is {:.9g}, expected {:.9g} (off by {:.2g}, allowed {:.2g})", i,
                       a.shape(), x, y, std::abs(x - y), allowed);
  }
  return "";
}

void compare_backends(const std::string& op, const std::vector<Case>& cases, HasKernels* has) {
  REQUIRE(has(Device::Kind::ref));
  for (const Candidate& candidate : candidates()) {
    if (!has_backend(candidate.device.kind) || !has(candidate.device.kind)) {
      WARN(op << ": skipped on " << candidate.device.str() << ", which has no such kernels in this build");
      continue;
    }
    for (const DType dtype : candidate.dtypes) {
      for (const Case& c : cases) compare_case(c, candidate.device, dtype);
    }
  }
}

void check_gradients(const std::vector<Case>& cases) {
  for (const Case& c : cases) {
    if (!c.backward) continue;
    INFO(c.name);
    Inputs source(DType::f64);
    const Tensors in = c.inputs(source);
    const Tensors out = c.forward(in);
    const Tensor dy = source.normal(out[0].shape());
    const Tensors gradients = c.backward(in, out, dy);
    REQUIRE(gradients.size() == in.size());
    for (size_t i = 0; i < in.size(); ++i) {
      if (!gradients[i].defined()) continue;
      REQUIRE(gradients[i].shape() == in[i].shape());
      if (in[i].numel() > 0) check_gradient(c, in, i, dy, gradients[i]);
    }
  }
}

}  // namespace trainer::test
