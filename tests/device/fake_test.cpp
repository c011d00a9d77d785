// The fake device is as strict as it has to be, and devices are chosen as DEVICE says.
#include <sys/wait.h>
#include <unistd.h>
#include <csignal>

#include "lib/ops/elementwise.h"
#include "lib/train/build.h"
#include "tests/catch.h"
#include "tests/device/fake_cuda.h"

using namespace trainer;
using train::choose_device;

namespace {

constexpr Device cuda{Device::Kind::cuda};

struct Unknown {
  static constexpr std::string_view name = "unknown";
  using Fn = void(const Tensor&);
};

/// The signal that ends a process which does this; 0 if it lives.
template <class F>
int signal_of(F&& f) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);
    f();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

}  // namespace

TEST_CASE("the host cannot touch the fake device's memory, kernels and copies can") {
  fake::load();
  Tensor x = Tensor::full({1000}, -2, DType::f32, cuda);
  x.slice(1, 1000).zero();
  CHECK(signal_of([&] { static_cast<volatile float*>(x.data<float>())[0] = 1; }) == SIGSEGV);
  CHECK(signal_of([&] { (void)static_cast<const volatile float*>(x.data<float>())[999]; }) == SIGSEGV);
  const Tensor y = ops::scale(x, 3).slice(0, 2).to(Device{});
  CHECK(y.data<float>()[0] == -6);
  CHECK(y.data<float>()[1] == 0);
}

TEST_CASE("a kernel that the fake device lacks, and a tensor that lies elsewhere, are errors") {
  fake::load();
  CHECK_THROWS_WITH(Kernels<Unknown>::on(cuda), ContainsSubstring("unknown: no kernel for device cuda:0"));
  Tensor x = Tensor::zeros({3}, DType::f32, cuda), y = Tensor::zeros({3}),
         other = Tensor::zeros({3}, DType::f32, {Device::Kind::cuda, 1});
  CHECK_THROWS_WITH(Kernels<ops::Relu>::on(cuda)(x, y),
                    ContainsSubstring("relu") && ContainsSubstring("on cpu"));
  CHECK_THROWS_WITH(Kernels<ops::Relu>::on(cuda)(x, other), ContainsSubstring("on cuda:1"));
}

TEST_CASE("DEVICE chooses among the devices there are") {
  fake::load();
  CHECK(choose_device("auto") == cuda);
  CHECK(choose_device("auto", 1) == Device{Device::Kind::cuda, 1});
  CHECK(choose_device("cuda", 1) == Device{Device::Kind::cuda, 1});
  CHECK(choose_device("cuda:0", 1) == cuda);
  CHECK(choose_device("cpu", 1) == Device{});
  CHECK_THROWS_WITH(choose_device("cuda:2"),
                    ContainsSubstring("DEVICE cuda:2") && ContainsSubstring("2 such devices"));
}
