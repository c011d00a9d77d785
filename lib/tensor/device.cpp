#include "lib/tensor/device.h"

#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <new>

#include "lib/base/error.h"

namespace trainer {
namespace {

/// Host memory, shared by the kinds that compute on the host.
class HostMemory final : public Backend {
 public:
  void* allocate(size_t bytes, int) override {
    void* p = std::aligned_alloc(64, bytes);  // size classes are multiples of 64
    check(p != nullptr, "out of memory: {} bytes of host memory were refused", bytes);
    return p;
  }
  void release(void* p, size_t, int) override { std::free(p); }
  void copy(void* to, Device, const void* from, Device, size_t bytes) override {
    std::memcpy(to, from, bytes);
  }
  void fill_zero(void* p, size_t bytes, int) override { std::memset(p, 0, bytes); }
  void synchronize(int) override {}
  int count() const override { return 1; }
};

/// Leaked on purpose: tensors with static lifetime are released after main.
std::array<Backend*, Device::kinds>& backends() {
  static auto* table = new std::array<Backend*, Device::kinds>{new HostMemory, new HostMemory, nullptr};
  return *table;
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
  Backend* b = backends()[static_cast<size_t>(kind)];
  check(Exit::usage, b != nullptr, "device '{}' is not available: this build has no backend for it",
        name_of(kind));
  return *b;
}

bool has_backend(Device::Kind kind) { return backends()[static_cast<size_t>(kind)] != nullptr; }

bool add_backend(Device::Kind kind, std::unique_ptr<Backend> b) {
  check(!has_backend(kind), "device kind '{}' has two backends", name_of(kind));
  backends()[static_cast<size_t>(kind)] = b.release();
  return true;
}

}  // namespace trainer
