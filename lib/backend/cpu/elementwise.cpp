#include "lib/ops/elementwise.h"

#include "lib/backend/cpu/elementwise.h"

#include "lib/backend/cpu/any_float.h"
#include "lib/backend/cpu/floats.h"
#include "lib/backend/cpu/parallel.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/backend/cpu/elementwise.cpp"
#include "lib/backend/cpu/simd.h"

#include "lib/backend/cpu/activation-inl.h"

HWY_BEFORE_NAMESPACE();
namespace trainer::cpu::HWY_NAMESPACE {
namespace {

void activation(const Elements& x, ops::Activation activation, const Elements& y, int64_t begin,
                int64_t end) {
  with_element(x.dtype, [&]<class T>(T) HWY_ATTR {
    ops::visit(activation, [&](auto a) HWY_ATTR {
      for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
        store(activate<a()>(d, load(d, x.as<T>() + i)), d, y.as<T>() + i);
      });
    });
  });
}

void activation_backward(const Elements& dy, const Elements& y, ops::Activation activation,
                         const Elements& dx, int64_t begin, int64_t end) {
  with_element(dy.dtype, [&]<class T>(T) HWY_ATTR {
    ops::visit(activation, [&](auto a) HWY_ATTR {
      for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
        store(activation_gradient<a()>(d, dy.as<T>(), y.as<T>(), i), d, dx.as<T>() + i);
      });
    });
  });
}

template <class A, class B, class Y>
void add_of(const A* a, const B* b, Y* y, int64_t begin, int64_t end) {
  for_vectors(begin, end,
              [&](auto d, int64_t i) HWY_ATTR { store(hn::Add(load(d, a + i), load(d, b + i)), d, y + i); });
}

void add(const Elements& a, const Elements& b, const Elements& y, int64_t begin, int64_t end) {
  with_element(a.dtype, [&]<class A>(A) HWY_ATTR {
    with_element(b.dtype, [&]<class B>(B) HWY_ATTR {
      using Y = std::conditional_t<std::is_same_v<A, B>, A, float>;
      add_of(static_cast<const A*>(a.data), static_cast<const B*>(b.data), static_cast<Y*>(y.data), begin,
             end);
    });
  });
}

void scale(DType t, const void* x, float factor, void* y, int64_t begin, int64_t end) {
  with_element(t, [&]<class T>(T) HWY_ATTR {
    for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
      store(hn::Mul(load(d, static_cast<const T*>(x) + i), hn::Set(d, factor)), d, static_cast<T*>(y) + i);
    });
  });
}

void cast(const Elements& x, const Elements& y, int64_t begin, int64_t end) {
  with_element(x.dtype, [&]<class X>(X) HWY_ATTR {
    with_element(y.dtype, [&]<class Y>(Y) HWY_ATTR {
      for_vectors(begin, end, [&](auto d, int64_t i) HWY_ATTR {
        store(load(d, static_cast<const X*>(x.data) + i), d, static_cast<Y*>(y.data) + i);
      });
    });
  });
}

}  // namespace
}  // namespace trainer::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace trainer::cpu {
namespace {

HWY_EXPORT(activation);
HWY_EXPORT(activation_backward);
HWY_EXPORT(add);
HWY_EXPORT(scale);
HWY_EXPORT(cast);

void activate_kernel(const Tensor& x, ops::Activation a, Tensor& y) {
  activate_elements(Elements(ops::Activate::name, x), a, Elements(ops::Activate::name, y), y.numel());
}

void activate_backward_kernel(const Tensor& dy, const Tensor& y, ops::Activation a, Tensor& dx) {
  static constexpr auto op = ops::ActivateBackward::name;
  const Elements g(op, dy), out(op, y), to(op, dx);
  parallel_for(dx.numel(), elementwise_grain, [=](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(activation_backward)(g, out, a, to, begin, end);
  });
}

void add_tensors(const Tensor& a, const Tensor& b, Tensor& y) {
  const Elements pa(ops::Add::name, a), pb(ops::Add::name, b), py(ops::Add::name, y);
  parallel_for(y.numel(), elementwise_grain, [=](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(add)(pa, pb, py, begin, end);
  });
}

void scale_kernel(const Tensor& x, double factor, Tensor& y) {
  const Elements from(ops::Scale::name, x), to(ops::Scale::name, y);
  parallel_for(y.numel(), elementwise_grain, [=](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(scale)(from.dtype, from.data, static_cast<float>(factor), to.data, begin, end);
  });
}

bool is_vectorised(DType t) { return t == DType::f32 || t == DType::bf16; }

void cast_kernel(const Tensor& x, Tensor& y) {
  const Tensor from = x.view({x.numel()});
  Tensor to = y.view({y.numel()});
  // Pairs of dtypes without a loop are converted by way of copies.
  reserve_for_threads(chunks_of(x.numel(), threads()) * static_cast<int64_t>(size_of(y.dtype())));
  parallel_for(x.numel(), elementwise_grain,
               [&](int64_t begin, int64_t end) { cast_elements(from, to, begin, end); });
}

[[maybe_unused]] const bool added[] = {
    add_kernel<ops::Activate, activate_kernel, f32_and_bf16>(),
    add_kernel<ops::ActivateBackward, activate_backward_kernel, f32_and_bf16>(),
    add_kernel<ops::Add, add_tensors, f32_and_bf16>(),
    add_kernel<ops::Scale, scale_kernel, f32_and_bf16>(),
    Kernels<ops::Cast>::add(Device::Kind::cpu, cast_kernel),
};

}  // namespace

/// Every pair of dtypes, as Tensor::to() converts them.
void cast_elements(const Tensor& x, Tensor& y, int64_t begin, int64_t end) {
  if (is_vectorised(x.dtype()) && is_vectorised(y.dtype())) {
    const Elements from(ops::Cast::name, x), to(ops::Cast::name, y);
    return HWY_DYNAMIC_DISPATCH(cast)(from, to, begin, end);
  }
  y.slice(begin, end).copy_from(x.slice(begin, end).to(y.dtype()));
}

void activate_elements(const Elements& x, ops::Activation a, const Elements& y, int64_t n) {
  parallel_for(n, elementwise_grain, [=](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(activation)(x, a, y, begin, end);
  });
}

}  // namespace trainer::cpu
#endif
