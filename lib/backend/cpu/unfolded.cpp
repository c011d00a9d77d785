#include "lib/backend/cpu/unfolded.h"

#include <algorithm>
#include <cstring>

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/matmul.h"
#include "lib/backend/cpu/onednn.h"
#include "lib/backend/cpu/parallel.h"

namespace trainer::cpu {
namespace {
constinit OwnLoopsSwitch setting;
}

void set_unfolded(OwnLoops where) { setting.set(where); }

namespace unfolded {
namespace {

/// columns [N OH OW, KH KW I] of maps x [N, H, W, I], 0 where the filter reaches beyond a map.
void unfold(const Tensor& x, const Shape& y, const Shape& w, const ops::Conv2dArgs& a, Tensor& columns) {
  const Shape& s = x.shape();
  const int64_t pixel = s[3] * static_cast<int64_t>(size_of(x.dtype())), filter_row = w[2] * pixel;
  const std::byte* maps = x.raw();
  parallel_for(y[0] * y[1], 1, [&](int64_t begin, int64_t end) {
    std::byte* to = columns.raw() + begin * y[2] * w[1] * filter_row;
    for (int64_t r = begin; r < end; ++r) {
      const std::byte* map = maps + r / y[1] * s[1] * s[2] * pixel;
      const int64_t top = r % y[1] * a.stride.h - a.padding.h;
      for (int64_t ow = 0; ow < y[2]; ++ow) {
        const int64_t left = ow * a.stride.w - a.padding.w;
        for (int64_t kh = 0; kh < w[1]; ++kh, to += filter_row) {
          const int64_t h = top + kh * a.dilation.h;
          const bool inside = h >= 0 && h < s[1];
          const std::byte* row = map + h * s[2] * pixel;  // read if inside
          if (inside && a.dilation.w == 1 && left >= 0 && left + w[2] <= s[2]) {
            std::memcpy(to, row + left * pixel, static_cast<size_t>(filter_row));
            continue;
          }
          for (int64_t kw = 0; kw < w[2]; ++kw) {
            const int64_t c = left + kw * a.dilation.w;
            if (inside && c >= 0 && c < s[2]) {
              std::memcpy(to + kw * pixel, row + c * pixel, static_cast<size_t>(pixel));
            } else {
              std::memset(to + kw * pixel, 0, static_cast<size_t>(pixel));
            }
          }
        }
      }
    }
  });
}

/// Samples whose columns stay in the last level of cache until the product reads them.
int64_t samples_at_once(const Tensor& y, const Tensor& w) {
  static constexpr int64_t enough = int64_t{16} << 20;
  const int64_t sample =
      y.size(1) * y.size(2) * (w.numel() / w.size(0)) * static_cast<int64_t>(size_of(y.dtype()));
  return std::clamp<int64_t>(enough / std::max<int64_t>(sample, 1), 1, y.size(0));
}

bool possible(const Tensor& y, const ops::Conv2dArgs& a) {
  return a.groups == 1 && !(y.dtype() == DType::bf16 && has_amx());
}

/// Patches that do not overlap, of an image's few colours: nothing is copied twice, and a direct sum leaves most of a
/// vector of channels empty. As measured, on 16 images of 224 pixels: copies have to serve more than 96 outputs.
bool embeds_patches(const Tensor& w, const ops::Conv2dArgs& a) {
  static constexpr int64_t colours = 4, many_outputs = 128;
  return w.size(1) > 1 && a.stride.h == w.size(1) && a.stride.w == w.size(2) && a.padding == 0 &&
         a.dilation == 1 && w.size(3) <= colours && w.size(0) >= many_outputs;
}

}  // namespace

bool wanted_forward(const Tensor& y, const Tensor& w, const ops::Conv2dArgs& a) {
  return possible(y, a) && setting.wants(embeds_patches(w, a));
}

bool wanted_backward_weight(const Tensor& dy, const Tensor& dw, const ops::Conv2dArgs& a) {
  // As measured (`bench_conv`): on large maps and for few channels copies of what overlaps take longer.
  static constexpr int64_t few_channels = 32;
  const int64_t large_map = dy.dtype() == DType::bf16 ? 8 : 32;
  const bool moves_far = a.stride.h > 1 && dw.size(1) > 1 && dw.size(0) > few_channels &&
                         dw.size(3) > few_channels && dy.size(2) <= large_map;
  return possible(dy, a) && setting.wants(moves_far || embeds_patches(dw, a));
}

void forward(const Tensor& x, const Tensor& w, const Tensor& bias, const ops::Conv2dArgs& a, Tensor& y) {
  const int64_t samples = y.size(0), at_once = samples_at_once(y, w), filter = w.numel() / w.size(0);
  for (int64_t n = 0; n < samples; n += at_once) {
    const int64_t end = std::min(samples, n + at_once);
    const Tensor maps = y.slice(n, end);
    Tensor pixels = maps.view({maps.shape().rows(), w.size(0)});
    Tensor columns = Tensor::empty({pixels.size(0), filter}, x.dtype());
    unfold(x.slice(n, end), maps.shape(), w.shape(), a, columns);
    linear(columns, w.view({w.size(0), filter}), bias, ops::Activation::none, pixels);
  }
}

void backward_weight(const Tensor& dy, const Tensor& x, const ops::Conv2dArgs& a, Tensor& dw, Tensor& dbias) {
  const int64_t samples = dy.size(0), at_once = samples_at_once(dy, dw), filter = dw.numel() / dw.size(0);
  const bool whole = at_once == samples;
  Converted<Tensor&> sum(dw, whole ? native_in_onednn : f32_alone),
      bias_sum(dbias, whole ? native_in_onednn : f32_alone);
  Tensor matrix = sum.value.view({dw.size(0), filter}), part, bias_part;
  for (int64_t n = 0; n < samples; n += at_once) {
    const int64_t end = std::min(samples, n + at_once);
    const Tensor g = dy.slice(n, end), maps = x.slice(n, end);
    Tensor columns = Tensor::empty({g.shape().rows(), filter}, x.dtype());
    unfold(maps, g.shape(), dw.shape(), a, columns);
    const Tensor pixels = g.view({g.shape().rows(), dy.size(3)});
    if (n == 0) {
      linear_backward_weight(pixels, columns, matrix, bias_sum.value);
      continue;
    }
    if (!part.defined()) part = Tensor::empty_like(matrix);
    if (!bias_part.defined() && dbias.defined()) bias_part = Tensor::empty_like(bias_sum.value);
    linear_backward_weight(pixels, columns, part, bias_part);
    ops::add_into(matrix, part);
    if (dbias.defined()) ops::add_into(bias_sum.value, bias_part);
  }
}

}  // namespace unfolded
}  // namespace trainer::cpu
