// The tables of --profile.
#pragma once

#include "lib/train/hooks/profile.h"

namespace trainer::app {

/// What a profile is held against, measured on the device before it begins.
struct Roofline {
  explicit Roofline(Device);
  Device device;
  double f32_gflops = 0, bf16_gflops = 0, gbytes = 0;

  /// The least seconds that a device so fast takes.
  double seconds(const Profile::Entry&) const;
};

/// Two tables on stdout: by op, and the shapes that take longest. Shares are of the whole step; "of roofline"
/// is the time that the roofline allows for an op's arithmetic and memory over the time it took.
void print_profile(const train::ProfileHook::Result&, const Roofline&);

}  // namespace trainer::app
