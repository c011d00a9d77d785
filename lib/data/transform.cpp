#include "lib/data/transform.h"

#include <algorithm>

#include "lib/config/fields.h"

namespace trainer::data {
namespace {

using Names = std::vector<std::string>;

struct TransformsConfig {
  Names train{"auto"}, val{"auto"};
  void fields(config::Fields& f) {
    f("TRANSFORMS.TRAIN", train,
      "what is done to training images, in this order: registered transforms; auto: resize where images "
      "differ in size, else nothing");
    f("TRANSFORMS.VAL", val, "the same for validation images");
  }
};

const bool declared = (config::declare("DATA", TransformsConfig{}), true);

Names names_for(const Spec& spec, const config::Node& root, Split split) {
  const auto c = config::bind<TransformsConfig>(root.at("DATA"));
  const Names& given = split == Split::train ? c.train : c.val;
  if (given != Names{"auto"}) return given;
  return spec.varies() ? Names{"resize"} : Names{};
}

class Transformed final : public Dataset {
 public:
  Transformed(std::shared_ptr<const Dataset> source, const Names& names, const config::Node& root,
              Split split)
      : source_(std::move(source)), spec_(source_->spec()) {
    for (const std::string& name : names) {
      const auto before = std::ranges::count(steps_, name, &Step::name);
      steps_.push_back({.name = name,
                        .path = before == 0 ? name : fmt::format("{}.{}", name, before),
                        .transform = transforms().make(name, root, split)});
      spec_.input = steps_.back().transform->shape(spec_.input);
    }
    check(
        Exit::usage, !spec_.varies(),
        "DATA.TRANSFORMS.{}: images of different sizes do not fit into a batch; resize, say, makes them fit",
        split == Split::train ? "TRAIN" : "VAL");
  }

  const Spec& spec() const override { return spec_; }
  int64_t size() const override { return source_->size(); }
  std::string name_of(int64_t index) const override { return source_->name_of(index); }
  const Dataset& source() const override { return *source_; }

  void read(int64_t index, const Rng& rng, const Sample& into) const override {
    static thread_local Image image, spare;
    Sample read = into;
    const Shape& given = source_->spec().input;
    if (source_->spec().varies()) {
      read.input = {};
      read.image = &image;
    } else {
      read.input = image.reset<float>(given[0], given[1], given[2]);
    }
    source_->read(index, rng, read);
    for (const Step& step : steps_) step.transform->apply(image, spare, {rng.fork(step.path), index});
    check(image.shape() == spec_.input, "transforms made an image of {}, expected {}", image.shape(),
          spec_.input);
    image.copy_to(into.input);
  }

 private:
  struct Step {
    std::string name, path;  ///< the path is that of its random numbers: another order changes none
    std::unique_ptr<Transform> transform;
  };

  std::shared_ptr<const Dataset> source_;
  std::vector<Step> steps_;
  Spec spec_;
};

}  // namespace

Registry<Transform, Split>& transforms() {
  static Registry<Transform, Split> registry("transform", "");
  return registry;
}

std::shared_ptr<const Dataset> with_transforms(std::shared_ptr<const Dataset> dataset,
                                               const config::Node& root, Split split) {
  if (dataset->size() == 0) return dataset;
  const Names names = names_for(dataset->spec(), root, split);
  if (names.empty() && !dataset->spec().varies()) return dataset;
  check(Exit::usage, dataset->spec().input.rank() == 3, "DATA.TRANSFORMS are of images; a sample is {}",
        dataset->spec().input);
  return std::make_shared<Transformed>(std::move(dataset), names, root, split);
}

}  // namespace trainer::data
