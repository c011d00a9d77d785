// Device: where a tensor's memory is and which kernels compute on it. Backend: the memory of one kind of
// device.
//
//   Device gpu = Device::parse("cuda:1");
//   if (has_backend(gpu.kind)) backend(gpu.kind).synchronize(gpu.index);
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

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
  std::string name;                                ///< product name, "NVIDIA H100 80GB HBM3"
  int64_t memory_total = 0, memory_available = 0;  ///< bytes; 0: unknown
};

/// Memory of one kind of device. Each backend registers one with add_backend(); Storage takes its memory from
/// it through a caching pool. `index` numbers the devices of the kind from 0.
///
/// Calls may come from several threads at once. Work that is queued on a device runs in the order of the
/// calls, kernels included: the pool hands a freed block out again without waiting for the device.
class Backend {
 public:
  virtual ~Backend() = default;
  /// Uninitialised memory, aligned to 64 bytes. Throws Error naming the size when there is none left.
  virtual void* allocate(size_t bytes, int index) = 0;
  virtual void release(void*, size_t bytes, int index) = 0;
  /// Runs after all work queued on the device; at least one of the two devices is of this kind. When it
  /// returns, the host may read `to` and overwrite `from`, where these are host memory.
  virtual void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes) = 0;
  virtual void fill_zero(void*, size_t bytes, int index) = 0;
  /// Waits until all work queued on the device is done.
  virtual void synchronize(int index) = 0;
  /// The number of devices of this kind that this machine has.
  virtual int count() const = 0;
  virtual DeviceInfo info(int index) const = 0;
};

/// The backend of a kind. The one for CUDA is a library of its own, libtrainer_cuda.so beside libtrainer.so,
/// and is loaded by the first call. Throws Error(Exit::usage) that says why there is none.
Backend& backend(Device::Kind);
/// Whether backend() would succeed. Loads the library if need be.
bool has_backend(Device::Kind);
/// Whether there is a backend, or a library file that may contain one. Loads nothing, so it is cheap.
bool may_have_backend(Device::Kind);
/// Called once by each backend while it is loaded (a static initialiser). A second one of a kind throws.
bool add_backend(Device::Kind, std::unique_ptr<Backend>);

}  // namespace trainer
