// trainer predict: logits, and features, of a model for the samples of a file.
#include "apps/trainer/command.h"
#include "apps/trainer/precision.h"
#include "lib/base/log.h"
#include "lib/config/pending.h"
#include "lib/io/safetensors.h"
#include "lib/ops/elementwise.h"
#include "lib/ops/layout.h"
#include "lib/tensor/constant_weights.h"
#include "lib/train/build.h"

namespace trainer::app {
namespace {

struct Flags {
  ConfigSource source;
  std::string model, weights, input, output;
  bool features = false;
};

/// The input file's samples, channels last, f32: `images` [N, C, H, W] (u8 scaled by 1/255) or `features` [N,
/// D].
Tensor read_input(const std::string& path) {
  const io::SafetensorsFile file(path, Exit::data);
  check(Exit::data, file.has("images") != file.has("features"),
        "{}: expected one tensor, 'images' [N, C, H, W] or 'features' [N, D]", path);
  const bool images = file.has("images");
  const Tensor x = file.tensor(images ? "images" : "features");
  check(Exit::data, x.rank() == (images ? 4 : 2), "{}: '{}' has shape {}, expected {}", path,
        images ? "images" : "features", x.shape(), images ? "[N, C, H, W]" : "[N, D]");
  check(Exit::data, x.dtype() == DType::f32 || (images && x.dtype() == DType::u8),
        "{}: '{}' is {}, expected f32{}", path, images ? "images" : "features", name_of(x.dtype()),
        images ? " or u8" : "");
  Tensor values = x.to(DType::f32).clone();
  if (x.dtype() == DType::u8) {
    for (float& v : values.span<float>()) v /= 255.F;
  }
  return images ? ops::to_channels_last(values) : values;
}

/// Concatenates rows of batches.
class Rows {
 public:
  void add(const Tensor& part, int64_t total) {
    if (!all_.defined()) all_ = Tensor::empty(part.shape().with(0, total), part.dtype());
    all_.slice(filled_, filled_ + part.size(0)).copy_from(part);
    filled_ += part.size(0);
  }
  const Tensor& all() const { return all_; }

 private:
  Tensor all_;
  int64_t filled_ = 0;
};

int predict(Flags& flags) {
  check(Exit::usage, flags.source.cfg.empty() != flags.model.empty(),
        "predict needs --cfg FILE or --model NAME, one of them");
  if (!flags.model.empty()) flags.source.flags.push_back({"--model", "MODEL.NAME", flags.model});
  if (!flags.weights.empty()) flags.source.flags.push_back({"--weights", "MODEL.PRETRAINED", flags.weights});
  const auto [config, settings, notices] = flags.source.load(config::Use::evaluation);
  const Process process = begin_process(config, settings, true);
  const Device device = process.device;

  const Tensor input = read_input(flags.input);
  const auto model =
      train::build_model(config, settings, input.shape().drop_front(), device, {.replace_classifier = false});
  const nn::Precision precision =
      settings.amp.dtype == "auto" ? nn::Precision() : train::choose_precision(settings, device);
  nn::set_precision(*model, precision);
  report_precision(config, settings, process, precision);
  const auto f32 = [](const Var& v) { return ops::cast(v.value(), DType::f32).to(Device{}); };
  const NoGrad no_grad;
  const int64_t n = input.size(0);
  check(Exit::data, n > 0, "{}: there are no samples", flags.input);
  const std::vector<Storage> weights = nn::memory_of_weights(*model);
  std::optional<ConstantWeights> constant;
  if (n > settings.loader.batch_size || flags.features) constant.emplace(weights);
  Rows logits;
  std::vector<Rows> features;
  for (int64_t begin = 0; begin < n; begin += settings.loader.batch_size) {
    const Var x(input.slice(begin, std::min(n, begin + settings.loader.batch_size)).clone().to(device));
    logits.add(f32((*model)(x)), n);
    if (!flags.features) continue;
    const auto maps = model->features(x);
    features.resize(maps.size());
    for (size_t i = 0; i < maps.size(); ++i) features[i].add(ops::to_channels_first(f32(maps[i])), n);
  }
  std::vector<std::pair<std::string, Tensor>> results{{"logits", logits.all()}};
  for (size_t i = 0; i < features.size(); ++i)
    results.emplace_back(fmt::format("features.{}", i), features[i].all());
  io::write_safetensors(flags.output, results, {}, Exit::data);
  log::info("{} predictions in {}", n, flags.output);
  return 0;
}

}  // namespace

Command predict_command() {
  auto flags = std::make_shared<Flags>();
  Command command{
      .name = "predict",
      .help = "logits (and features) of a model for an input file",
      .examples = R"(Examples:
  trainer predict --cfg exp.yaml --weights model.safetensors --input x.safetensors --output y.safetensors
  trainer predict --model resnet50 --weights resnet50.safetensors --input x.safetensors --output y.safetensors)",
      .flags = source_flags(flags->source, "configuration of the model"),
      .run = [flags] { return predict(*flags); },
      .refuse = [flags](const auto& problems) { flags->source.refuse(problems, config::Use::evaluation); }};
  const auto add = [&](Flag flag) { command.flags.push_back(std::move(flag)); };
  const auto required = [&](Flag flag) {
    flag.required = true;
    add(std::move(flag));
  };
  Flag model = text("--model", "NAME", "a registered model, instead of --cfg", flags->model);
  model.offered = {"@models"};
  add(std::move(model));
  add(text("--weights", "PATH",
           "a .safetensors file, a checkpoint or a run directory; without it the model is as initialised",
           flags->weights));
  required(text("--input", "FILE", "safetensors: images [N, C, H, W] or features [N, D]", flags->input));
  required(text("--output", "FILE", "safetensors: logits [N, K]", flags->output));
  add(toggle("--features", "also the stages' outputs, features.0 ..., in NCHW", flags->features));
  return command;
}

}  // namespace trainer::app
