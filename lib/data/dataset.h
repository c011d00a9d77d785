// Dataset: numbered samples. What happens to them before they are a batch's is lib/data/transform.h. Adding a
// dataset is writing one .cpp in this folder:
//
//   class Digits final : public Dataset {
//    public:
//     struct Config {
//       int64_t img_size = 224;
//       void fields(config::Fields& f) { f("IMG_SIZE", img_size, "height and width"); }
//     };
//     Digits(const Config&, const Request&);
//     ...
//   };
//   const bool registered = datasets().add<Digits>("digits");
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "lib/base/rng.h"
#include "lib/config/fields.h"
#include "lib/registry/registry.h"
#include "lib/tensor/dtype.h"
#include "lib/tensor/shape.h"

namespace trainer::data {

enum class Split : uint8_t { train, val };
std::string_view name_of(Split);

/// What all samples of a dataset look like. The model and the loss are built for it.
struct Spec {
  /// Of one sample, f32: [H, W, C] of an image, [D] of a table's row. H and W are 0 where images differ in
  /// size; transforms then make them one size, so that the shape is known without reading every file.
  Shape input = {};
  DType target_dtype = DType::i64;  ///< i64: a class index; f32: values
  Shape target = {};                ///< of one sample: [] for a class index
  int64_t num_classes = 0;          ///< class indices lie in [0, num_classes); 0 with f32 targets
  bool is_classification() const { return target_dtype == DType::i64; }
  bool varies() const { return std::count(input.begin(), input.end(), 0) > 0; }
};

class Image;

/// Where a sample is written: one row of a batch. Either `label` or `target` has elements.
struct Sample {
  std::span<float> input = {};    ///< spec().input.numel() values
  std::span<int64_t> label = {};  ///< one class index
  std::span<float> target = {};   ///< spec().target.numel() values
  Image* image = nullptr;         ///< in place of `input` where spec().varies(): becomes the decoded image
};

/// What the run wants of a dataset, beside the dataset's own keys.
struct Request {
  Split split = Split::train;
  int64_t num_classes = 0;  ///< MODEL.NUM_CLASSES: a label outside [0, num_classes) is refused; 0: none is
  int64_t channels = 0;     ///< MODEL.IN_CHANS, for datasets that can choose; 0: auto
};

class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual const Spec& spec() const = 0;
  /// Number of samples. 0: there is no such split (only `val` may be missing), and spec() says nothing.
  virtual int64_t size() const = 0;
  /// Writes sample `index` of [0, size()). Called by several threads at once. `rng`, which depends on the
  /// seed and the epoch only, is the transforms': what a dataset holds is the same every time. Throws
  /// Error(Exit::data) with the cause; read_sample() adds name_of(index).
  virtual void read(int64_t index, const Rng& rng, const Sample& into) const = 0;
  /// What a message calls a sample: "data/train.safetensors: sample 17".
  virtual std::string name_of(int64_t index) const = 0;
  /// The dataset as it was before any transforms.
  virtual const Dataset& source() const { return *this; }
};

/// Dataset::read(), whose errors then begin with the sample's name.
void read_sample(const Dataset&, int64_t index, const Rng&, const Sample& into);

/// The key of DATA that no single dataset owns.
struct DatasetConfig {
  std::string name = "imagenet";
  void fields(config::Fields& f) { f("DATASET", name, "where samples come from: a registered dataset"); }
};

/// All datasets, by the name that DATA.DATASET takes.
Registry<Dataset, const Request&>& datasets();

/// The dataset that DATA.DATASET names, behind the transforms of DATA.TRANSFORMS: samples as a loader takes
/// them. `root` is the whole configuration.
std::shared_ptr<const Dataset> make_dataset(const config::Node& root, const Request&);

/// Throws Error(Exit::data) naming the first sample whose label is outside [0, request.num_classes). Returns
/// the number of classes: the largest label + 1. For datasets that hold their labels, to call when they are
/// constructed.
int64_t check_labels(const Dataset&, std::span<const int64_t> labels, const Request&);

}  // namespace trainer::data
