// What a device can do at most, measured in well under a second: the two slopes of the roofline model
// (Williams, Waterman and Patterson, 2009).
#pragma once

#include "lib/tensor/tensor.h"

namespace trainer::app {

/// GFLOP/s of a large square matrix product.
double measure_gflops(Device, DType = DType::f32);

/// GB/s of y = y + x over arrays far larger than any cache: three streams.
double measure_gbytes(Device);

}  // namespace trainer::app
