#include "lib/tensor/device.h"

#include <dlfcn.h>

#include <array>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "lib/base/error.h"
#include "lib/base/log.h"
#include "lib/base/system.h"
#include "lib/tensor/rehearsal.h"

namespace trainer {
namespace {

/// Host memory, shared by the kinds that compute on the host.
class HostMemory final : public Backend {
 public:
  void* allocate(size_t bytes, int) override {
    void* p = std::aligned_alloc(64, bytes);  // size classes are multiples of 64
    check(p != nullptr, "out of memory: {} bytes of host memory cannot be allocated", bytes);
    return p;
  }
  void release(void* p, size_t, int) override { std::free(p); }
  void copy(void* to, Device, const void* from, Device, size_t bytes) override {
    if (!Rehearsal::active()) std::memcpy(to, from, bytes);
  }
  void fill_zero(void* p, size_t bytes, int) override {
    if (!Rehearsal::active()) std::memset(p, 0, bytes);
  }
  void synchronize(int) override {}
  int count() const override { return 1; }
  DeviceInfo info(int) const override {
    const MemoryInfo memory = memory_info();
    return {cpu_name(), memory.total, memory.available};
  }
};

/// Leaked on purpose: tensors with static lifetime are released after main.
std::atomic<Backend*>& slot(Device::Kind kind) {
  static auto* table = new std::array<std::atomic<Backend*>, Device::kinds>{new HostMemory, new HostMemory};
  return (*table)[static_cast<size_t>(kind)];
}

/// The path of libtrainer_cuda.so: beside the library that holds this function.
std::filesystem::path cuda_library() {
  Dl_info here{};
  ::dladdr(reinterpret_cast<const void*>(&cuda_library), &here);
  return std::filesystem::path(here.dli_fname).parent_path().lexically_normal() / "libtrainer_cuda.so";
}

/// Loads the library, which calls add_backend() while it is being loaded. Returns what went wrong, or "".
std::string load_cuda() {
  const std::string path = cuda_library().string();
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored))
    return fmt::format("this build has no backend for it ({} is not there)", path);
  if (::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL) == nullptr)
    return fmt::format("libtrainer_cuda.so cannot be loaded: {}", ::dlerror());
  return slot(Device::Kind::cuda) != nullptr ? "" : path + " has no backend for it";
}

/// Why there is no backend of this kind, which is loaded if need be; "" if there is one.
std::string_view missing(Device::Kind kind) {
  if (kind != Device::Kind::cuda) return "";
  // A second thread waits here until the first has loaded the library and its kernels.
  static const std::string reason = [] {
    if (slot(Device::Kind::cuda) != nullptr) return std::string();
    std::string why = load_cuda();
    if (!why.empty()) log::debug("no CUDA: {}", why);
    return why;
  }();
  return slot(kind) != nullptr ? std::string_view() : reason;
}

}  // namespace

std::string_view name_of(Device::Kind kind) {
  switch (kind) {
    case Device::Kind::ref:
      return "ref";
    case Device::Kind::cpu:
      return "cpu";
    case Device::Kind::cuda:
      return "cuda";
  }
  return "?";
}

std::string Device::str() const {
  std::string s(name_of(kind));
  return kind == Kind::cuda ? s + ":" + std::to_string(index) : s;
}

Device Device::parse(std::string_view s) {
  if (s == "ref") return {Kind::ref, 0};
  if (s == "cpu") return {Kind::cpu, 0};
  if (s == "cuda") return {Kind::cuda, 0};
  if (s.starts_with("cuda:")) {
    int index = 0;
    const auto digits = s.substr(5);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (error == std::errc() && end == digits.data() + digits.size() && index >= 0)
      return {Kind::cuda, index};
  }
  fail(Exit::usage, "unknown device '{}' (known: cpu, cuda, cuda:N, ref)", s);
}

Backend& backend(Device::Kind kind) {
  const std::string_view why = missing(kind);
  check(Exit::usage, why.empty(), "device '{}' is not available: {}", name_of(kind), why);
  return *slot(kind);
}

bool has_backend(Device::Kind kind) { return missing(kind).empty(); }

bool may_have_backend(Device::Kind kind) {
  std::error_code ignored;
  return slot(kind) != nullptr || std::filesystem::exists(cuda_library(), ignored);
}

bool add_backend(Device::Kind kind, std::unique_ptr<Backend> b) {
  Backend* none = nullptr;
  check(slot(kind).compare_exchange_strong(none, b.get()), "device kind '{}' has two backends",
        name_of(kind));
  b.release();
  return true;
}

}  // namespace trainer
