// tensors: samples from safetensors files, read in place through a memory map.
//
// DATA.DATA_PATH is a folder with train.safetensors and, optionally, val.safetensors, or one file to train
// on. A file holds
//
// - `images` f32 or u8 [N, C, H, W]; u8 is scaled by 1/255, f32 is used as it is: nothing is resized or
// normalised;
// - or `features` f32 [N, D] in their place;
// - `labels` i64 [N], class indices, or f32 [N, ...], values to predict. `targets` is another name for them.
#include <algorithm>
#include <filesystem>

#include "lib/config/fields.h"
#include "lib/data/dataset.h"
#include "lib/data/image.h"
#include "lib/io/safetensors.h"

namespace trainer::data {
namespace {

namespace fs = std::filesystem;

class Tensors final : public Dataset {
 public:
  struct Config {
    std::string data_path;
    void fields(config::Fields& f) { f.user_default("DATA_PATH", data_path, "file or folder of the data"); }
  };

  Tensors(const Config& config, const Request& request) {
    check(Exit::usage, !config.data_path.empty(),
          "DATA.DATA_PATH is empty: dataset 'tensors' needs a safetensors file, or a folder with "
          "train.safetensors");
    const fs::path given = config.data_path;
    std::error_code none;
    const bool folder = fs::is_directory(given, none);
    const fs::path file =
        folder ? given / fmt::format("{}.safetensors", data::name_of(request.split)) : given;
    const bool missing = !folder || fs::status(file, none).type() == fs::file_type::not_found;
    if (request.split == Split::val && missing) return;  // nothing to evaluate on
    path_ = file.string();
    load(request);
  }

  const Spec& spec() const override { return spec_; }
  int64_t size() const override { return size_; }
  std::string name_of(int64_t index) const override { return fmt::format("{}: sample {}", path_, index); }

  void read(int64_t index, const Rng&, const Sample& into) const override {
    const int64_t n = spec_.input.numel();
    if (input_.dtype() == DType::u8) {
      to_channels_last(input_.data<uint8_t>() + index * n, into.input,
                       [](uint8_t v) { return unit_interval[v]; });
    } else {
      to_channels_last(input_.data<float>() + index * n, into.input, [](float v) { return v; });
    }
    if (spec_.is_classification()) {
      into.label[0] = target_.data<int64_t>()[index];
    } else {
      const auto row = target_.span<float>().subspan(index * into.target.size(), into.target.size());
      std::copy(row.begin(), row.end(), into.target.begin());
    }
  }

 private:
  void load(const Request& request) {
    const io::SafetensorsFile file(path_, Exit::data);
    const std::string input = the_one_of(file, "images", "features"),
                      target = the_one_of(file, "labels", "targets");
    input_ = file.tensor(input);
    target_ = file.tensor(target);

    const Shape& in = input_.shape();
    if (input == "images") {
      require(input_.dtype() == DType::f32 || input_.dtype() == DType::u8, input, input_, "f32 or u8");
      require(in.rank() == 4, input, input_, "[N, C, H, W]");
      spec_.input = {in[2], in[3], in[1]};
    } else {
      require(input_.dtype() == DType::f32, input, input_, "f32");
      require(in.rank() == 2, input, input_, "[N, D]");
      spec_.input = {in[1]};
    }
    require(target_.dtype() == DType::i64 || target_.dtype() == DType::f32, target, target_,
            "i64 (class indices) or f32 (values)");
    require(target_.rank() >= 1, target, target_, "[N] or [N, ...]");
    require(target_.dtype() == DType::f32 || target_.rank() == 1, target, target_, "[N] for class indices");
    check(Exit::data, in[0] == target_.size(0), "{}: '{}' holds {} samples but '{}' {}", path_, input, in[0],
          target, target_.size(0));
    check(Exit::data, in[0] > 0, "{}: '{}' holds no samples", path_, input);
    require(spec_.input.numel() > 0, input, input_, "no extent of zero");
    spec_.target_dtype = target_.dtype();
    spec_.target = target_.shape().drop_front();
    require(spec_.target.numel() > 0, target, target_, "no extent of zero");

    size_ = in[0];
    if (spec_.is_classification()) spec_.num_classes = check_labels(*this, target_.span<int64_t>(), request);
  }

  /// The name that the file has of two.
  std::string the_one_of(const io::SafetensorsFile& file, const std::string& a, const std::string& b) const {
    check(Exit::data, !file.has(a) || !file.has(b), "{}: has both '{}' and '{}'; one of them is expected",
          path_, a, b);
    if (file.has(a)) return a;
    if (file.has(b)) return b;
    std::string names;
    for (const auto& info : file.tensors()) {
      if (names.size() > 200) {
        names += ", ...";
        break;
      }
      names += (names.empty() ? "" : ", ") + info.name;
    }
    fail(Exit::data, "{}: has neither '{}' nor '{}'; its tensors: {}", path_, a, b,
         names.empty() ? "none" : names);
  }

  void require(bool ok, const std::string& name, const Tensor& t, std::string_view expected) const {
    if (ok) return;
    fail(Exit::data, "{}: '{}' is {} {}, expected {}", path_, name, trainer::name_of(t.dtype()), t.shape(),
         expected);
  }

  /// One sample [C, H, W] (or [D]) to [H, W, C].
  template <class T, class Convert>
  void to_channels_last(const T* from, std::span<float> to, Convert convert) const {
    const int64_t channels = spec_.input.rank() == 3 ? spec_.input[2] : 1;
    const int64_t pixels = std::ssize(to) / channels;
    if (channels == 1) {  // contiguous
      std::transform(from, from + pixels, to.begin(), convert);
      return;
    }
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t p = 0; p < pixels; ++p) to[p * channels + c] = convert(from[c * pixels + p]);
    }
  }

  std::string path_;
  Spec spec_;
  int64_t size_ = 0;
  Tensor input_, target_;
};

const bool registered = datasets().add<Tensors>("tensors");

}  // namespace
}  // namespace trainer::data
