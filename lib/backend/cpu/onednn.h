// What our kernels need of oneDNN (2.6 and 3.x): engine, stream, primitives with their memory objects, and a
// cache of them.
//
// Safe to use from several threads: stream, primitives and cache belong to the calling thread, and
// scratchpads are the user's, from our pool (oneDNN's own is shared by all threads that execute a primitive,
// and then silently overwritten).
#pragma once

#include <initializer_list>
#include <oneapi/dnnl/dnnl.hpp>
#include <vector>

#include "lib/tensor/tensor.h"

namespace trainer::cpu {

const dnnl::engine& engine();
/// Of the calling thread. Execution on the CPU is synchronous.
const dnnl::stream& stream();

/// bf16 convolutions and matrix products in hardware. Elsewhere f32 is faster.
bool has_bf16();
/// Matrix units (AMX) for bf16.
bool has_amx();
/// f32 always, bf16 with has_bf16(): see add_kernel().
bool native_in_onednn(DType);

/// Memory in row-major order, or with explicit strides in elements.
dnnl::memory::desc plain(const dnnl::memory::dims& dims, DType = DType::f32);
dnnl::memory::desc strided(const dnnl::memory::dims& dims, const dnnl::memory::dims& strides,
                           DType = DType::f32);
/// Memory whose layout the primitive may choose.
dnnl::memory::desc any_layout(const dnnl::memory::dims& dims, DType = DType::f32);
/// Scratchpads are ours.
const dnnl::primitive_attr& user_scratchpad();

/// P::primitive_desc of the same arguments in both versions of the library.
template <class P, class... A>
typename P::primitive_desc forward_desc(const A&... arguments) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), arguments..., user_scratchpad()};
#else
  return {typename P::desc(arguments...), user_scratchpad(), engine()};
#endif
}
template <class P, class Hint, class... A>
typename P::primitive_desc backward_desc(const Hint& forward, const A&... arguments) {
#if DNNL_VERSION_MAJOR >= 3
  return {engine(), arguments..., forward, user_scratchpad()};
#else
  return {typename P::desc(arguments...), user_scratchpad(), engine(), forward};
#endif
}

/// A oneDNN primitive together with its memory objects, made once; a run only sets their pointers.
class Primitive {
 public:
  struct Argument {
    int index;  ///< DNNL_ARG_SRC ...
    dnnl::memory::desc desc;
  };
  Primitive(dnnl::primitive, std::initializer_list<Argument>, const dnnl::memory::desc& scratchpad);
  /// `data`: one pointer per argument, in the constructor's order. Null leaves an optional argument out. A
  /// rehearsal only takes the scratchpad.
  void run(std::initializer_list<const void*> data);
  /// What a run takes of the pool.
  int64_t scratchpad_bytes() const { return static_cast<int64_t>(scratchpad_bytes_); }

 private:
  static constexpr size_t max_arguments = 8;  // with the scratchpad
  dnnl::primitive primitive_;
  std::vector<int> indices_;
  std::vector<dnnl::memory> memory_;
  size_t scratchpad_bytes_;
};

/// A primitive that copies between two layouts of the same dims.
Primitive make_reorder(const dnnl::memory::desc& from, const dnnl::memory::desc& to);

/// Threads for `flops` floating-point operations: one where waking the others costs more than they save
/// (about 20 us).
int threads_for(double flops);

}  // namespace trainer::cpu
