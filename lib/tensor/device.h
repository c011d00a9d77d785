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
  /// memory. cuda: NVIDIA GPUs, in libtrainer_cuda.so.
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

struct DeviceInfo {
  std::string name;                                ///< the product's
  int64_t memory_total = 0, memory_available = 0;  ///< bytes; 0: unknown
};

/// Memory of one kind of device. Backends register one; Storage takes its memory from there through a caching
/// pool. Calls come from several threads at once; what they queue on a device runs there in the order of the
/// calls, as kernels do: a block that was given back may be in use again before the device has come so far.
class Backend {
 public:
  virtual ~Backend() = default;
  /// Uninitialised memory aligned to 64 bytes (or what the device needs). Throws Error naming the size when
  /// there is none.
  virtual void* allocate(size_t bytes, int index) = 0;
  virtual void release(void*, size_t bytes, int index) = 0;
  /// Ordered after all work queued on the device. When it returns, `to` may be read by the host if it is host
  /// memory, and `from` may be overwritten by the host if that is. One of the devices is of this kind.
  virtual void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes) = 0;
  virtual void fill_zero(void*, size_t bytes, int index) = 0;
  virtual void synchronize(int index) = 0;
  /// Devices that can be used on this machine.
  virtual int count() const = 0;
  virtual DeviceInfo info(int index) const = 0;
};

/// The backend of a kind. cuda's is a library of its own, libtrainer_cuda.so beside libtrainer.so, which is
/// loaded when somebody first asks for it. Throws Error(Exit::usage) that says why there is none.
Backend& backend(Device::Kind);
/// The same as a question: loads what can be loaded.
bool has_backend(Device::Kind);
/// There is a backend, or a library that may have one: loads nothing, so it costs no time.
bool may_have_backend(Device::Kind);
/// Called once by each backend when it is loaded.
bool add_backend(Device::Kind, std::unique_ptr<Backend>);

}  // namespace trainer
