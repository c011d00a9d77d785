#include "lib/ops/tokens.h"

#include <cstring>

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/tokens.cpp"
#include "lib/backend/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {
namespace {

/// y = x + f32 addend
void add_floats(const Elements& x, const float* addend, const Elements& y, int64_t count) {
  with_element(x.dtype, [&]<class X>(X) HWY_ATTR {
    with_element(y.dtype, [&]<class Y>(Y) HWY_ATTR {
      for_vectors(0, count, [&](auto d, int64_t i) HWY_ATTR {
        store(hn::Add(load(d, x.as<const X>() + i), hn::LoadU(d, addend + i)), d, y.as<Y>() + i);
      });
    });
  });
}

/// sums = sum over `rows` rows of x, `stride` elements apart.
void sum_strided(const Elements& x, int64_t rows, int64_t stride, int64_t count, float* sums) {
  with_element(x.dtype, [&]<class X>(X) HWY_ATTR {
    for_vectors(0, count, [&](auto d, int64_t i) HWY_ATTR {
      auto sum = hn::Zero(d);
      for (int64_t r = 0; r < rows; ++r) sum = hn::Add(sum, load(d, x.as<const X>() + r * stride + i));
      hn::StoreU(sum, d, sums + i);
    });
  });
}

}  // namespace
}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu {
namespace {

HWY_EXPORT(add_floats);
HWY_EXPORT(sum_strided);

void embed(const Tensor& x, const Tensor& first, const Tensor& position, Tensor& y) {
  static constexpr auto op = ops::EmbedTokens::name;
  if (y.numel() == 0) return;
  const int64_t length = y.size(1), width = y.size(2), after = x.size(1), before = length - after;
  const Converted<const Tensor&> f32_first(first, f32_alone), f32_position(position, f32_alone);
  const Elements px(op, x), pfirst(op, f32_first.value), py(op, y);
  const float* pposition = floats(op, f32_position.value);
  parallel_for(y.size(0), chunks_of(elementwise_grain, length * width), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const Elements to = py.from(n * length * width);
      if (before > 0) HWY_DYNAMIC_DISPATCH(add_floats)(pfirst, pposition, to, before * width);
      HWY_DYNAMIC_DISPATCH(add_floats)
      (px.from(n * after * width), pposition + before * width, to.from(before * width), after * width);
    }
  });
}

/// `count` elements of n'th samples, `stride` apart in the source and tight in the target, or the reverse.
void copy(const Tensor& x, int64_t x_stride, int64_t x_first, Tensor& y, int64_t y_stride, int64_t y_first,
          int64_t samples, int64_t count) {
  const auto bytes = static_cast<int64_t>(size_of(x.dtype()));
  const std::byte* from = x.raw();
  std::byte* to = y.raw();
  parallel_for(samples, chunks_of(elementwise_grain, std::max<int64_t>(count, 1)),
               [=](int64_t begin, int64_t end) {
                 for (int64_t n = begin; n < end; ++n) {
                   std::memcpy(to + (n * y_stride + y_first) * bytes, from + (n * x_stride + x_first) * bytes,
                               static_cast<size_t>(count * bytes));
                 }
               });
}

void embed_backward(const Tensor& dy, int64_t first, Tensor& dx, Tensor& dfirst, Tensor& dposition) {
  static constexpr auto op = ops::EmbedTokensBackward::name;
  const int64_t samples = dy.size(0), length = dy.size(1), width = dy.size(2), after = length - first;
  if (dx.defined() && dx.numel() > 0) {
    if (dx.dtype() == dy.dtype()) {
      copy(dy, length * width, first * width, dx, after * width, 0, samples, after * width);
    } else {
      const Tensor same = ops::cast(dy, dx.dtype());
      copy(same, length * width, first * width, dx, after * width, 0, samples, after * width);
    }
  }
  const int64_t sums = dposition.defined() ? length : dfirst.defined() ? first : 0;
  if (sums * width == 0) return;
  Tensor total = Tensor::empty({1, sums, width});
  float* ptotal = total.data<float>();
  const Elements g(op, dy);
  parallel_for(sums, chunks_of(elementwise_grain, std::max<int64_t>(samples * width, 1)),
               [=](int64_t begin, int64_t end) {
                 HWY_DYNAMIC_DISPATCH(sum_strided)
                 (g.from(begin * width), samples, length * width, (end - begin) * width,
                  ptotal + begin * width);
               });
  if (dposition.defined()) dposition.copy_from(total.to(dposition.dtype()));
  if (dfirst.defined())
    dfirst.copy_from(total.view({sums, width}).slice(0, first).view({1, first, width}).to(dfirst.dtype()));
}

void slice(const Tensor& x, int64_t begin, Tensor& y) {
  const int64_t width = x.size(2), count = y.size(1) * width;
  if (count > 0) copy(x, x.size(1) * width, begin * width, y, count, 0, x.size(0), count);
}

void slice_backward(const Tensor& dy, int64_t begin, Tensor& dx) {
  const int64_t width = dx.size(2), count = dy.size(1) * width;
  dx.zero();
  if (count > 0) copy(dy, count, 0, dx, dx.size(1) * width, begin * width, dx.size(0), count);
}

constexpr auto cpu = Device::Kind::cpu;
[[maybe_unused]] const bool added[] = {
    add_kernel<ops::EmbedTokens, embed, f32_and_bf16>(),
    add_kernel<ops::EmbedTokensBackward, embed_backward, f32_and_bf16>(),
    Kernels<ops::SliceTokens>::add(cpu, slice),
    Kernels<ops::SliceTokensBackward>::add(cpu, slice_backward),
};

}  // namespace
}  // namespace trainer::cpu
#endif
