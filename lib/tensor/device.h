// Where a tensor lives and who computes with it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace trainer {

struct Device {
  /// ref: naive loops in host memory, the specification of every op. cpu: oneDNN and vectorised loops in host
  /// memory.
  enum class Kind : uint8_t { ref, cpu, cuda };
  static constexpr int kinds = 3;

  Kind kind = Kind::cpu;
  int index = 0;

  bool operator==(const Device&) const = default;
  bool is_host() const { return kind != Kind::cuda; }
  std::string str() const;  ///< "cpu", "ref", "cuda:1"
  /// Parses what str() prints; "cuda" is "cuda:0". Throws Error(Exit::usage).
  static Device parse(std::string_view);
};

std::string_view name_of(Device::Kind);

/// Memory of one kind of device. Backends register one; Storage takes its memory from there through a caching
/// pool.
class Backend {
 public:
  virtual ~Backend() = default;
  /// Uninitialised memory aligned to 64 bytes (or what the device needs). Throws Error naming the size when
  /// there is none.
  virtual void* allocate(size_t bytes, int index) = 0;
  virtual void release(void*, size_t bytes, int index) = 0;
  /// Ordered after all work queued on the device; returns when `to` may be read by the host if `to` is host
  /// memory.
  virtual void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes) = 0;
  virtual void fill_zero(void*, size_t bytes, int index) = 0;
  virtual void synchronize(int index) = 0;
  virtual int count() const = 0;
};

/// The backend of a kind; throws Error(Exit::usage) if it is not compiled in or not loaded.
Backend& backend(Device::Kind);
bool has_backend(Device::Kind);
/// Called once by each backend when it is loaded.
bool add_backend(Device::Kind, std::unique_ptr<Backend>);

}  // namespace trainer
