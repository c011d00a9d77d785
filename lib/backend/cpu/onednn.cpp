#include "lib/backend/cpu/onednn.h"

#include <array>

#include "lib/backend/cpu/parallel.h"
#include "lib/base/error.h"

namespace trainer::cpu {

using dnnl::memory;

// Leaked on purpose: threads may still own primitives when static objects are destroyed.
const dnnl::engine& engine() {
  static const auto* e = [] {
    // f32 is f32: not what ONEDNN_DEFAULT_FPMATH_MODE says.
    dnnl_set_default_fpmath_mode(dnnl_fpmath_mode_strict);
    return new dnnl::engine(dnnl::engine::kind::cpu, 0);
  }();
  return *e;
}

const dnnl::stream& stream() {
  thread_local const dnnl::stream s(engine());
  return s;
}

namespace {
bool has(dnnl::cpu_isa features) {
  const auto isa = static_cast<unsigned>(dnnl::get_effective_cpu_isa());
  return (isa & static_cast<unsigned>(features)) == static_cast<unsigned>(features);
}
}  // namespace

bool has_bf16() {
  static const bool found = has(dnnl::cpu_isa::avx512_core_bf16);
  return found;
}

bool has_amx() {
  static const bool found = has(dnnl::cpu_isa::avx512_core_amx);
  return found;
}

bool native_in_onednn(DType t) { return t == DType::bf16 ? has_bf16() : t != DType::f16; }

namespace {
memory::data_type type_of(DType t) {
  check(t == DType::f32 || t == DType::bf16, "oneDNN: no memory of {}", name_of(t));
  return t == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32;
}
}  // namespace

memory::desc plain(const memory::dims& dims, DType t) {
  memory::dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strided(dims, strides, t);
}

memory::desc strided(const memory::dims& dims, const memory::dims& strides, DType t) {
  return {dims, type_of(t), strides};
}

memory::desc any_layout(const memory::dims& dims, DType t) {
  return {dims, type_of(t), memory::format_tag::any};
}

const dnnl::primitive_attr& user_scratchpad() {
  static const auto* attributes = [] {
    auto* a = new dnnl::primitive_attr;
    a->set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return a;
  }();
  return *attributes;
}

Primitive::Primitive(dnnl::primitive primitive, std::initializer_list<Argument> arguments,
                     const memory::desc& scratchpad)
    : primitive_(std::move(primitive)), scratchpad_bytes_(scratchpad.get_size()) {
  const auto add = [&](int index, const memory::desc& desc) {
    indices_.push_back(index);
    memory_.emplace_back(desc, engine(), nullptr);
  };
  for (const Argument& a : arguments) add(a.index, a.desc);
  if (scratchpad_bytes_ > 0) add(DNNL_ARG_SCRATCHPAD, scratchpad);
  check(memory_.size() <= max_arguments, "oneDNN: {} arguments are more than are foreseen", memory_.size());
}

void Primitive::run(std::initializer_list<const void*> data) {
  const Storage scratchpad = scratchpad_bytes_ > 0 ? Storage(scratchpad_bytes_, Device{}) : Storage();
  if (Rehearsal::active()) return;
  check(data.size() + (scratchpad ? 1 : 0) == memory_.size(),
        "oneDNN: {} arguments given to a primitive of {}", data.size(), memory_.size());
  std::array<dnnl_exec_arg_t, max_arguments> arguments;
  int count = 0;
  size_t i = 0;
  const auto bind = [&](const void* p) {
    if (p != nullptr) {
      memory_[i].set_data_handle(const_cast<void*>(p));  // oneDNN has no const handles
      arguments[count++] = {indices_[i], memory_[i].get()};
    }
    ++i;
  };
  for (const void* p : data) bind(p);
  if (scratchpad) bind(scratchpad.data());
  const dnnl_status_t status =
      dnnl_primitive_execute(primitive_.get(), stream().get(), count, arguments.data());
  check(status == dnnl_success, "oneDNN: a primitive failed with status {}", static_cast<int>(status));
}

Primitive make_reorder(const memory::desc& from, const memory::desc& to) {
  const dnnl::reorder::primitive_desc desc(engine(), from, engine(), to, user_scratchpad());
  return {dnnl::reorder(desc), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}, desc.scratchpad_desc()};
}

int threads_for(double flops) {
  static constexpr double one_thread = 2e6;
  return flops < one_thread ? 1 : threads();
}

}  // namespace trainer::cpu
