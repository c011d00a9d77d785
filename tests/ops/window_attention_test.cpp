// Attention in windows as Swin's code writes it, with maps that are rolled and cut in memory; and what timm
// computes.
#include "lib/autograd/window_attention.h"
#include "lib/autograd/loss.h"
#include "lib/autograd/matmul.h"
#include "tests/ops/cases.h"
#include "tests/support/fixture.h"
#include "tests/support/golden.h"

namespace trainer::test {
namespace {

constexpr Device ref{Device::Kind::ref};

/// torch.roll(x, (down, right), (1, 2)) of x [N, H, W, C].
Tensor roll(const Tensor& x, int64_t down, int64_t right) {
  const int64_t height = x.size(1), width = x.size(2), c = x.size(3);
  Tensor y = Tensor::empty_like(x);
  for (int64_t n = 0; n < x.size(0); ++n) {
    for (int64_t h = 0; h < height; ++h) {
      for (int64_t w = 0; w < width; ++w) {
        const int64_t to = (n * height + (h + down + height) % height) * width + (w + right + width) % width;
        std::copy_n(x.data<double>() + ((n * height + h) * width + w) * c, c, y.data<double>() + to * c);
      }
    }
  }
  return y;
}

/// Swin's window_partition: [N, H, W, C] -> [N windows, L, C]; with `back` window_reverse: writes x from y.
void partition(Tensor& x, ops::Pair window, Tensor& y, bool back = false) {
  const int64_t height = x.size(1), width = x.size(2), c = x.size(3);
  double* at = y.data<double>();
  for (int64_t n = 0; n < x.size(0); ++n) {
    for (int64_t top = 0; top < height; top += window.h) {
      for (int64_t left = 0; left < width; left += window.w) {
        for (int64_t h = top; h < top + window.h; ++h) {
          double* row = x.data<double>() + ((n * height + h) * width + left) * c;
          if (back) std::copy_n(at, window.w * c, row);
          if (!back) std::copy_n(row, window.w * c, at);
          at += window.w * c;
        }
      }
    }
  }
}

/// Swin's attn_mask [windows, L, L]: the rolled map has up to nine regions, numbered by their bands.
Tensor shift_mask(int64_t height, int64_t width, const ops::WindowAttentionArgs& args) {
  const auto band = [](int64_t at, int64_t extent, int64_t window, int64_t shift) {
    return at < extent - window ? 0 : at < extent - shift || shift == 0 ? 1 : 2;
  };
  Tensor regions = Tensor::empty({1, height, width, 1}, DType::f64, ref);
  for (int64_t h = 0; h < height; ++h) {
    for (int64_t w = 0; w < width; ++w) {
      regions.data<double>()[h * width + w] =
          3 * band(h, height, args.window.h, args.shift.h) + band(w, width, args.window.w, args.shift.w);
    }
  }
  const int64_t length = args.window.h * args.window.w, windows = height * width / length;
  Tensor cut = Tensor::empty({windows, length, 1}, DType::f64, ref);
  partition(regions, args.window, cut);
  Tensor mask = Tensor::empty({windows, length, length}, DType::f64, ref);
  for (int64_t i = 0; i < mask.numel(); ++i) {
    const double* of = cut.data<double>() + i / (length * length) * length;
    mask.data<double>()[i] = of[i / length % length] == of[i % length] ? 0 : -100;
  }
  return mask;
}

void check_composed(const Shape& map, int64_t heads, int64_t d, const ops::WindowAttentionArgs& args) {
  INFO(map.str() << " shift " << args.shift.h << " " << args.shift.w);
  const int64_t length = args.window.h * args.window.w, rows = map.numel();
  Inputs source(DType::f64);
  const Tensor qkv = source.normal({map[0], map[1], map[2], 3, heads, d});
  const Tensor bias = source.statistic({heads, length, length});
  const Tensor dy = source.normal({map[0], map[1], map[2], heads, d});

  // A map that goes into windows, and one that comes out of them.
  const auto cut = [&](const Tensor& x) {
    Tensor rolled = roll(x.view({map[0], map[1], map[2], -1}), -args.shift.h, -args.shift.w);
    Tensor y = Tensor::empty({rows / length, length, rolled.size(3)}, DType::f64, ref);
    partition(rolled, args.window, y);
    return y;
  };
  const auto merge = [&](Tensor y, const Shape& shape) {
    Tensor rolled = Tensor::empty({map[0], map[1], map[2], y.numel() / rows}, DType::f64, ref);
    partition(rolled, args.window, y, true);
    return roll(rolled, args.shift.h, args.shift.w).view(shape);
  };
  const Tensor mask = shift_mask(map[1], map[2], args);
  const Tensor packed = cut(qkv).view({rows / length, length, 3, heads, d});
  const ops::AttentionResult expected = ops::attention(packed, bias, mask, {.scale = args.scale});
  Tensor dpacked = Tensor::empty_like(packed), expected_dbias = Tensor::empty_like(bias);
  ops::attention_backward(cut(dy).view(expected.y.shape()), packed, bias, mask, {.scale = args.scale},
                          expected, dpacked, expected_dbias);

  const ops::WindowAttentionResult got = ops::window_attention(qkv, bias, args);
  Tensor dqkv = Tensor::empty_like(qkv), dbias = Tensor::empty_like(bias);
  ops::window_attention_backward(dy, qkv, bias, args, got, dqkv, dbias);
  CHECK(difference(got.y, merge(expected.y, dy.shape()), 1e-14) == "");
  CHECK(difference(got.lse, expected.lse.view(got.lse.shape()), 1e-14) == "");
  CHECK(difference(dqkv, merge(dpacked, qkv.shape()), 1e-13) == "");
  CHECK(difference(dbias, expected_dbias, 1e-13) == "");
}

TEST_CASE("window_attention is attention over maps that are rolled and cut", "[window_attention]") {
  check_composed({2, 6, 8}, 2, 5, {.window = {3, 4}});
  check_composed({2, 6, 8}, 2, 5, {.window = {3, 4}, .shift = {1, 2}});
  check_composed({1, 6, 6}, 3, 4, {.window = 2, .shift = 1, .scale = 0.9});
  check_composed({3, 4, 9}, 1, 8, {.window = {4, 3}, .shift = {0, 2}});
  check_composed({1, 9, 4}, 1, 8, {.window = {3, 4}, .shift = {2, 0}});
  check_composed({2, 4, 4}, 1, 8, {.window = 4, .shift = 3});
}

TEST_CASE("tokens from opposite edges of a map do not see each other", "[window_attention]") {
  const ops::WindowAttentionArgs args{.window = 2, .shift = 1};
  Inputs source(DType::f64);
  Tensor qkv = source.normal({1, 4, 4, 3, 1, 4});
  const Tensor before = ops::window_attention(qkv, {}, args).y;
  std::fill_n(qkv.data<double>(), 12, 7.0);  // the token in the corner, alone in its part of a window
  const Tensor after = ops::window_attention(qkv, {}, args).y;
  CHECK(difference(after.view({16, 4}).slice(1, 16), before.view({16, 4}).slice(1, 16), 1e-12) == "");
}

TEST_CASE("window_attention as timm's Swin block computes it", "[window_attention][relative_position_bias]") {
  const io::SafetensorsFile file = golden::tensors("window_attention");
  const golden::Formula formula(golden::made(file, "seed").get<uint64_t>());
  const nlohmann::json made = golden::made(file, "case");
  const auto pair = [&](const char* key) { return ops::Pair(made.at(key).at(0), made.at(key).at(1)); };
  const ops::WindowAttentionArgs args{.window = pair("window"), .shift = pair("shift")};
  const int64_t heads = made.at("heads"), width = made.at("width");
  const nlohmann::json map = made.at("map");
  const Shape shape{map.at(0), map.at(1), map.at(2), width};

  for (const Device device : {ref, Device{}}) {
    INFO(device.str());
    const auto var = [&](const std::vector<float>& values, const Shape& s) {
      return Var(Tensor::of<float>(std::span(values), s).to(device), true);
    };
    const auto images = [&](uint64_t step) {
      return formula.images(step, static_cast<size_t>(shape.numel()));
    };
    const Shape table_shape = file.tensor("gradient/relative_position_bias_table").shape();
    const Shape weight_shape{3 * width, width}, bias_shape{3 * width};
    const std::map<std::string, Var> leaves{
        {"x", var(images(0), shape)},
        {"qkv.weight", var(formula.weight("qkv.weight", weight_shape, width), weight_shape)},
        {"qkv.bias", var(formula.weight("qkv.bias", bias_shape, width), bias_shape)},
        {"relative_position_bias_table",
         var(formula.weight("relative_position_bias_table", table_shape, 0), table_shape)}};

    const Var qkv = autograd::linear(leaves.at("x"), leaves.at("qkv.weight"), leaves.at("qkv.bias"));
    const Var bias = autograd::relative_position_bias(leaves.at("relative_position_bias_table"), args.window);
    const Var y = autograd::window_attention(qkv, heads, bias, args);
    autograd::mse(y, var(images(1), shape).value()).backward();

    CHECK(difference(y.value(), file.tensor("y"), 2e-6) == "");
    for (const auto& [name, leaf] : leaves) {
      INFO(name);
      CHECK(difference(leaf.grad(), file.tensor("gradient/" + name), 4e-6) == "");
    }
  }
}

}  // namespace
}  // namespace trainer::test
