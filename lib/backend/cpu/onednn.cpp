#include "lib/backend/cpu/onednn.h"

#include <algorithm>

#include "lib/base/error.h"

namespace trainer::cpu {

using dnnl::memory;

// Leaked on purpose: threads may still own primitives when static objects are destroyed.
const dnnl::engine& engine() {
  static const auto* e = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *e;
}

const dnnl::stream& stream() {
  thread_local const dnnl::stream s(engine());
  return s;
}

memory::desc plain(const memory::dims& dims) {
  memory::dims strides(dims.size(), 1);
  for (size_t i = dims.size(); i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  return strided(dims, strides);
}

memory::desc strided(const memory::dims& dims, const memory::dims& strides) {
  return {dims, memory::data_type::f32, strides};
}

memory::desc any_layout(const memory::dims& dims) {
  return {dims, memory::data_type::f32, memory::format_tag::any};
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
  for (const Argument& a : arguments) {
    memory_.emplace_back(a.desc, engine(), nullptr);
    arguments_.push_back({a.index, memory_.back().get()});
  }
  if (scratchpad_bytes_ > 0) {
    memory_.emplace_back(scratchpad, engine(), nullptr);
    arguments_.push_back({DNNL_ARG_SCRATCHPAD, memory_.back().get()});
  }
}

void Primitive::run(std::initializer_list<const void*> data) {
  const bool has_scratchpad = scratchpad_bytes_ > 0;
  check(data.size() + has_scratchpad == memory_.size(), "oneDNN: {} arguments given, {} declared",
        data.size(), memory_.size() - has_scratchpad);
  Storage scratchpad;
  if (has_scratchpad) {
    scratchpad = Storage(scratchpad_bytes_, Device{});
    memory_.back().set_data_handle(scratchpad.data());
  }
  size_t i = 0;
  for (const void* p : data)
    memory_[i++].set_data_handle(const_cast<void*>(p));  // oneDNN has no const handles
  const dnnl_status_t status = dnnl_primitive_execute(primitive_.get(), stream().get(),
                                                      static_cast<int>(arguments_.size()), arguments_.data());
  check(status == dnnl_success, "oneDNN: a primitive failed with status {}", static_cast<int>(status));
}

Primitive make_reorder(const memory::desc& from, const memory::desc& to) {
  const dnnl::reorder::primitive_desc desc(engine(), from, engine(), to, user_scratchpad());
  return {dnnl::reorder(desc), {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}}, desc.scratchpad_desc()};
}

Key::Key(std::initializer_list<int64_t> values) {
  check(values.size() <= size, "oneDNN: a primitive key of {} numbers", values.size());
  std::copy(values.begin(), values.end(), numbers.begin());
}

size_t KeyHash::operator()(const Key& key) const noexcept {
  uint64_t h = 0xCBF29CE484222325ULL;
  for (const int64_t v : key.numbers) {
    h = (h ^ static_cast<uint64_t>(v)) * 0x9E3779B97F4A7C15ULL;
    h ^= h >> 29;
  }
  return h;
}

int threads_for(double flops) {
  static constexpr double one_thread = 2e6;
  return flops < one_thread ? 1 : threads();
}

}  // namespace trainer::cpu
