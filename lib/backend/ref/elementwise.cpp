#include "lib/ops/elementwise.h"

#include "lib/backend/ref/activation.h"
#include "lib/backend/ref/ref.h"
#include "lib/base/rng.h"

namespace trainer::ref {
namespace {

void activation(const Tensor& x, ops::Activation a, Tensor& y) {
  visit_real(ops::Activate::name, x, [&]<class T>(T) {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    for (int64_t i = 0; i < x.numel(); ++i) py[i] = static_cast<T>(activate(a, px[i]));
  });
}

void activation_backward(const Tensor& dy, const Tensor& y, ops::Activation a, Tensor& dx) {
  visit_real(ops::ActivateBackward::name, y, [&]<class T>(T) {
    const T *g = dy.data<T>(), *py = y.data<T>();
    T* pdx = dx.data<T>();
    for (int64_t i = 0; i < y.numel(); ++i) pdx[i] = static_cast<T>(activation_gradient(a, g[i], py[i]));
  });
}

void add(const Tensor& a, const Tensor& b, Tensor& y) {
  visit_real(ops::Add::name, a, [&]<class T>(T) {
    const T *pa = a.data<T>(), *pb = b.data<T>();
    T* py = y.data<T>();
    for (int64_t i = 0; i < a.numel(); ++i) py[i] = pa[i] + pb[i];
  });
}

void scale(const Tensor& x, double factor, Tensor& y) {
  visit_real(ops::Scale::name, x, [&]<class T>(T) {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    for (int64_t i = 0; i < x.numel(); ++i) py[i] = static_cast<T>(px[i] * factor);
  });
}

/// Every pair of floating types; 16-bit types convert through f32.
void cast(const Tensor& x, Tensor& y) { y.copy_from(x.to(y.dtype())); }

/// uniform() gives multiples of 2^-24, so the comparison with p in f64 is exact.
void dropout(const Tensor& x, const ops::DropoutArgs& args, Tensor& y) {
  const Rng rng = Rng::from_key(args.key);
  const int64_t rows = args.per_row ? x.size(0) : x.numel();
  const int64_t row_size = rows == 0 ? 0 : x.numel() / rows;
  const double factor = 1 / (1 - args.p);
  visit_real(ops::Dropout::name, x, [&]<class T>(T) {
    const T* px = x.data<T>();
    T* py = y.data<T>();
    for (int64_t r = 0; r < rows; ++r) {
      const bool keep = rng.uniform(args.index, static_cast<uint64_t>(args.first + r)) >= args.p;
      for (int64_t i = r * row_size; i < (r + 1) * row_size; ++i)
        py[i] = keep ? static_cast<T>(px[i] * factor) : 0;
    }
  });
}

constexpr auto ref = Device::Kind::ref;
[[maybe_unused]] const bool added[] = {
    Kernels<ops::Activate>::add(ref, activation),
    Kernels<ops::ActivateBackward>::add(ref, activation_backward),
    Kernels<ops::Add>::add(ref, add),
    Kernels<ops::Scale>::add(ref, scale),
    Kernels<ops::Cast>::add(ref, cast),
    Kernels<ops::Dropout>::add(ref, dropout),
};

}  // namespace
}  // namespace trainer::ref
