// Convolutions of common networks by Winograd's algorithm beside oneDNN's direct one.
//
//   bench_conv [ROUNDS [THREADS [BATCH SIZE IN OUT] ...]]
//
// A line per layer and direction: milliseconds, median and least.
//
// Both alternate in one process, so that whatever else the machine does meets both. With one thread it is
// processor time.
#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <vector>

#include "lib/backend/cpu/parallel.h"
#include "lib/backend/cpu/winograd.h"
#include "lib/base/rng.h"
#include "lib/base/system.h"

using namespace trainer;

namespace {

struct Layer {
  int64_t batch, size, in, out;
};

Tensor normal(const Shape& shape) {
  static uint64_t key = 0;
  Tensor t = Tensor::empty(shape);
  const Rng rng(++key);
  uint64_t i = 0;
  for (float& v : t.span<float>()) v = rng.normal(0, i++);
  return t;
}

struct Times {
  std::vector<double> all;
  double median() const {
    std::vector<double> v = all;
    std::nth_element(v.begin(), v.begin() + v.size() / 2, v.end());
    return v[v.size() / 2];
  }
  double least() const { return *std::min_element(all.begin(), all.end()); }
};

double clock_now() {
  if (cpu::threads() > 1) return now();
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

void compare(const char* what, const Layer& l, int rounds, const std::function<void()>& run) {
  Times direct, winograd;
  for (int i = 0; i < rounds + 2; ++i) {
    for (const bool on : {false, true}) {
      cpu::set_winograd(on ? cpu::Winograd::always : cpu::Winograd::off);
      const double begin = clock_now();
      run();
      if (i >= 2) (on ? winograd : direct).all.push_back((clock_now() - begin) * 1e3);
    }
  }
  std::printf("%3d x %3dx%-3d %4d -> %-4d %-8s direct %8.3f %8.3f  winograd %8.3f %8.3f  ratio %5.2f %5.2f\n",
              static_cast<int>(l.batch), static_cast<int>(l.size), static_cast<int>(l.size),
              static_cast<int>(l.in), static_cast<int>(l.out), what, direct.median(), direct.least(),
              winograd.median(), winograd.least(), direct.median() / winograd.median(),
              direct.least() / winograd.least());
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 20;
  if (argc > 2) cpu::set_threads(std::atoi(argv[2]));
  std::vector<Layer> layers = {
      {16, 56, 64, 64}, {16, 28, 128, 128}, {16, 14, 256, 256}, {16, 7, 512, 512},  // ResNets, 224 px
      {64, 32, 64, 64}, {64, 16, 128, 128}, {64, 8, 256, 256},  {64, 4, 512, 512},  // ResNet-18, 32 px
      {64, 8, 32, 32},  {64, 8, 32, 64},    {64, 8, 64, 64},    {64, 4, 64, 128},  {64, 4, 128, 128},
  };
  if (argc > 3) layers.clear();
  for (int i = 3; i + 3 < argc; i += 4) {
    layers.push_back(
        {std::atol(argv[i]), std::atol(argv[i + 1]), std::atol(argv[i + 2]), std::atol(argv[i + 3])});
  }
  const ops::Conv2dArgs args{.padding = 1};
  for (const Layer& l : layers) {
    const Tensor x = normal({l.batch, l.size, l.size, l.in}), w = normal({l.out, 3, 3, l.in});
    Tensor y = ops::conv2d(x, w, {}, args), dx = Tensor::empty(x.shape()), dw = Tensor::empty(w.shape()),
           none;
    const Tensor dy = normal(y.shape());
    compare("forward", l, rounds, [&] { Kernels<ops::Conv2d>::on(x.device())(x, w, none, args, y); });
    compare("data", l, rounds, [&] { ops::conv2d_backward_data(dy, w, args, dx); });
    compare("weights", l, rounds, [&] { ops::conv2d_backward_weight(dy, x, args, dw, none); });
  }
}
