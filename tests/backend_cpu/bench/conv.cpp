// Convolutions of common networks by loops of our own beside oneDNN's: 3x3 by Winograd's algorithm or, with stride 2,
// gradients of weights as products of unfolded maps; or depthwise.
//
//   bench_conv [ROUNDS [THREADS [BATCH SIZE IN OUT STRIDE] ...]]
//   bench_conv depthwise [ROUNDS [THREADS [BATCH SIZE CHANNELS KERNEL STRIDE] ...]]
//
// A line per layer and direction: milliseconds, median and least; in f32, then in bf16.
//
// Both alternate in one process, so that whatever else the machine does meets both. With one thread it is
// processor time.
#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <string_view>
#include <vector>

#include "lib/backend/cpu/depthwise.h"
#include "lib/backend/cpu/parallel.h"
#include "lib/backend/cpu/unfolded.h"
#include "lib/backend/cpu/winograd.h"
#include "lib/base/rng.h"
#include "lib/base/system.h"

using namespace trainer;

namespace {

struct Layer {
  int64_t batch, size, in, out;
  int64_t kernel = 3;
  ops::Conv2dArgs args = {.padding = 1};
};
Layer depthwise(int64_t batch, int64_t size, int64_t channels, int64_t kernel, int64_t stride) {
  return {batch,    size,   channels,
          channels, kernel, {.stride = stride, .padding = kernel / 2, .groups = channels}};
}

Layer regular(int64_t batch, int64_t size, int64_t in, int64_t out, int64_t stride = 1) {
  return {batch, size, in, out, 3, {.stride = stride, .padding = 1}};
}

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

void compare(const char* what, const Layer& l, DType dtype, int rounds, const std::function<void()>& run) {
  Times onednn, ours;
  for (int i = 0; i < rounds + 2; ++i) {
    for (const bool on : {false, true}) {
      cpu::set_winograd(on ? cpu::OwnLoops::always : cpu::OwnLoops::off);
      cpu::set_depthwise(on ? cpu::OwnLoops::always : cpu::OwnLoops::off);
      cpu::set_unfolded(on ? cpu::OwnLoops::always : cpu::OwnLoops::off);
      const double begin = clock_now();
      run();
      if (i >= 2) (on ? ours : onednn).all.push_back((clock_now() - begin) * 1e3);
    }
  }
  std::printf(
      "%3d x %3dx%-3d %4d -> %-4d %dx%d /%d %-4s %-8s oneDNN %8.3f %8.3f  ours %8.3f %8.3f  ratio %5.2f "
      "%5.2f\n",
      static_cast<int>(l.batch), static_cast<int>(l.size), static_cast<int>(l.size), static_cast<int>(l.in),
      static_cast<int>(l.out), static_cast<int>(l.kernel), static_cast<int>(l.kernel),
      static_cast<int>(l.args.stride.h), name_of(dtype).data(), what, onednn.median(), onednn.least(),
      ours.median(), ours.least(), onednn.median() / ours.median(), onednn.least() / ours.least());
  std::fflush(stdout);
}

void compare(const Layer& l, DType dtype, int rounds) {
  const ops::Conv2dArgs& args = l.args;
  const Tensor x = normal({l.batch, l.size, l.size, l.in}).to(dtype),
               w = normal({l.out, l.kernel, l.kernel, l.in / args.groups}).to(dtype);
  Tensor y = ops::conv2d(x, w, {}, args), dx = Tensor::empty_like(x), dw = Tensor::empty(w.shape()), none;
  const Tensor dy = normal(y.shape()).to(dtype);
  compare("forward", l, dtype, rounds, [&] { Kernels<ops::Conv2d>::on(x.device())(x, w, none, args, y); });
  compare("data", l, dtype, rounds, [&] { ops::conv2d_backward_data(dy, w, args, dx); });
  compare("weights", l, dtype, rounds, [&] { ops::conv2d_backward_weight(dy, x, args, dw, none); });
}

}  // namespace

int main(int argc, char** argv) {
  const bool by_channel = argc > 1 && std::string_view(argv[1]) == "depthwise";
  if (by_channel) --argc, ++argv;
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 20;
  if (argc > 2) cpu::set_threads(std::atoi(argv[2]));
  const std::vector<Layer> all_channels = {
      // ResNets, 224 px
      regular(16, 56, 64, 64),
      regular(16, 28, 128, 128),
      regular(16, 14, 256, 256),
      regular(16, 7, 512, 512),
      regular(16, 56, 128, 128, 2),
      regular(16, 28, 256, 256, 2),
      regular(16, 14, 512, 512, 2),
      // ResNet-18, 32 px
      regular(64, 32, 64, 64),
      regular(64, 16, 128, 128),
      regular(64, 8, 256, 256),
      regular(64, 4, 512, 512),
      regular(64, 32, 64, 128, 2),
      regular(64, 16, 128, 256, 2),
      regular(64, 8, 256, 512, 2),
      // the CNN of the digits
      regular(64, 8, 32, 32),
      regular(64, 8, 32, 64),
      regular(64, 8, 64, 64),
      regular(64, 4, 64, 128),
      regular(64, 4, 128, 128),
  };
  const std::vector<Layer> one_filter_per_channel = {
      // MobileNetV2, 224 px
      depthwise(16, 112, 32, 3, 1),
      depthwise(16, 112, 96, 3, 2),
      depthwise(16, 56, 144, 3, 1),
      depthwise(16, 56, 144, 3, 2),
      depthwise(16, 28, 192, 3, 1),
      depthwise(16, 28, 192, 3, 2),
      depthwise(16, 14, 384, 3, 1),
      depthwise(16, 14, 576, 3, 1),
      depthwise(16, 14, 576, 3, 2),
      depthwise(16, 7, 960, 3, 1),
      // EfficientNet-B0, 224 px
      depthwise(16, 56, 144, 5, 2),
      depthwise(16, 28, 240, 5, 1),
      depthwise(16, 14, 480, 5, 1),
      depthwise(16, 14, 672, 5, 2),
      depthwise(16, 7, 1152, 5, 1),
      // ConvNeXt-T, 224 px
      depthwise(16, 56, 96, 7, 1),
      depthwise(16, 28, 192, 7, 1),
      depthwise(16, 14, 384, 7, 1),
      depthwise(16, 7, 768, 7, 1),
  };
  std::vector<Layer> layers = by_channel ? one_filter_per_channel : all_channels;
  if (argc > 3) layers.clear();
  for (int i = 3; i + 4 < argc; i += 5) {
    const auto number = [&](int k) { return static_cast<int64_t>(std::atol(argv[i + k])); };
    layers.push_back(by_channel ? depthwise(number(0), number(1), number(2), number(3), number(4))
                                : regular(number(0), number(1), number(2), number(3), number(4)));
  }
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const Layer& l : layers) compare(l, dtype, rounds);
  }
}
