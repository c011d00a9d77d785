// Transform: what happens to an image between its dataset and the batch: resizing, augmentation,
// normalisation. Adding one is writing one file in lib/data/transforms/ that registers it; DATA.TRANSFORMS
// says which are applied, in which order.
//
// A dataset without transforms writes into the batch itself. With them, a worker reads into an Image of its
// own, applies one after the other, and copies the result into the batch.
#pragma once

#include <memory>

#include "lib/base/rng.h"
#include "lib/data/dataset.h"
#include "lib/data/image.h"

namespace trainer::data {

/// The random numbers of one transform for one sample: functions of SEED, epoch, transform and sample.
class Draw {
 public:
  Draw(const Rng& rng, int64_t sample) : rng_(rng), sample_(static_cast<uint64_t>(sample)) {}
  float uniform(uint64_t element) const { return rng_.uniform(sample_, element); }  ///< in [0, 1)

 private:
  Rng rng_;
  uint64_t sample_;
};

/// Constructed as T(const Config&, Split); its Config binds from the root: "DATA.IMG_SIZE", "AUG.REPROB".
class Transform {
 public:
  virtual ~Transform() = default;
  /// What images of this shape [H, W, C] become; an extent is 0 where it differs from sample to sample.
  virtual Shape shape(const Shape& from) const = 0;
  /// Changes `image`, in place, or by writing into `spare` and swapping the two. Called by several threads at
  /// once. Throws Error(Exit::data) with the cause; who calls adds the name of the sample.
  virtual void apply(Image& image, Image& spare, const Draw&) const = 0;
};

/// By the names in DATA.TRANSFORMS.
Registry<Transform, Split>& transforms();

/// The dataset behind the transforms that DATA.TRANSFORMS names for this split; the dataset itself where
/// there are none. `root` is the whole configuration. Throws Error(Exit::usage) if images differ in size
/// behind the last one.
std::shared_ptr<const Dataset> with_transforms(std::shared_ptr<const Dataset>, const config::Node& root,
                                               Split);

}  // namespace trainer::data
