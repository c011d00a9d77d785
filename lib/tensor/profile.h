// What the ops of a stretch of work cost, by op and by the shapes it was called with.
//
//   Profile profile;
//   profile.start();
//   ... ops on this thread ...
//   profile.stop();
//   for (const Profile::Entry& e : profile.entries()) ...
//
// Kernels<Op>::on() times every call (lib/tensor/kernels.h); an op that says how many arithmetic operations
// it takes, `static double flops(arguments of Fn)`, has them counted.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/tensor/tensor.h"

namespace trainer {

class Profile {
 public:
  struct Entry {
    std::string_view op;
    /// The first three that differ among its tensors, without vectors if there is anything else:
    /// "16x56x56x64 64x3x3x64 16x56x56x64".
    std::string shapes;
    DType dtype = DType::f64;  ///< of its first tensor that is not f64, as scalars of a step are
    int64_t calls = 0;
    double seconds = 0;  ///< with the ops that its kernel calls itself
    double flops = 0;    ///< arithmetic operations, as by the definition of the op; 0: not counted
    double bytes = 0;    ///< of the tensors it is given, each once
  };

  Profile() = default;
  Profile(const Profile&) = delete;
  ~Profile() { stop(); }

  /// Counts the ops that the calling thread dispatches from now on. Each waits for its device, before and
  /// after. Throws if another profile counts on this thread.
  void start();
  void stop();
  const std::vector<Entry>& entries() const { return entries_; }

  /// The profile that counts on this thread, or null.
  static Profile* active() { return active_; }

  /// Times one call, from construction to destruction.
  class Timing {
   public:
    Timing(Profile&, std::string_view op, Device, std::span<const Tensor* const>, double flops);
    ~Timing();
    Timing(const Timing&) = delete;

   private:
    Profile& profile_;
    Device device_;
    size_t entry_;
    double begin_;
  };

 private:
  size_t entry_of(std::string_view op, std::string shapes, DType);

  static constinit thread_local Profile* active_;
  std::vector<Entry> entries_;  // a few hundred at most: searched in order
};

}  // namespace trainer
