// trainer inspect: the tensors of a weights file, and what of them would not fit a model.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/trainer/command.h"
#include "apps/trainer/train_modes.h"
#include "lib/base/text.h"
#include "lib/checkpoint/locate.h"
#include "lib/checkpoint/weights.h"
#include "lib/io/safetensors.h"
#include "lib/nn/model.h"

namespace trainer::app {
namespace {

struct Flags {
  std::string file, against;
  ConfigSource source;
  bool json = false;
};

nlohmann::ordered_json as_json(const io::SafetensorsFile& file) {
  nlohmann::ordered_json j{{"metadata", file.metadata()}, {"tensors", nlohmann::ordered_json::array()}};
  for (const auto& t : file.tensors()) {
    j["tensors"].push_back({{"name", t.name},
                            {"dtype", t.dtype_text},
                            {"shape", std::vector<int64_t>(t.shape.begin(), t.shape.end())},
                            {"bytes", t.end - t.begin}});
  }
  return j;
}

void print_table(const io::SafetensorsFile& file) {
  size_t wide = 6;
  int64_t elements = 0;
  size_t bytes = 0;
  for (const auto& t : file.tensors()) wide = std::max(wide, t.name.size());
  for (const auto& t : file.tensors()) {
    fmt::print("{:<{}}  {:<5} {}\n", t.name, wide, t.dtype_text, t.shape.str());
    elements += t.shape.numel();
    bytes += t.end - t.begin;
  }
  for (const auto& [key, value] : file.metadata()) fmt::print("metadata: {} = {}\n", key, value);
  fmt::print("{} tensors, {} elements, {}\n", file.tensors().size(), with_commas(elements),
             human_bytes(static_cast<double>(bytes)));
}

int inspect(const Flags& flags) {
  const fs::path path = checkpoint::find_weights(flags.file);
  const io::SafetensorsFile file(path, Exit::weights);
  std::vector<std::string> problems;
  if (!flags.against.empty()) {
    const config::Config config = flags.source.merge();
    const auto model = nn::models().make(flags.against, config.group("MODEL"),
                                         sample_spec(config, train::Settings(config)).input);
    problems = checkpoint::mismatches(*model, path);
  }
  if (flags.json) {
    nlohmann::ordered_json j = as_json(file);
    if (!flags.against.empty()) j["against"] = {{"model", flags.against}, {"problems", problems}};
    std::puts(j.dump(2).c_str());
  } else {
    print_table(file);
    for (const std::string& p : problems) fmt::print("{}\n", p);
    if (!flags.against.empty()) {
      fmt::print("{}\n", problems.empty()
                             ? "fits " + flags.against
                             : fmt::format("{} tensors do not fit {}", problems.size(), flags.against));
    }
  }
  return problems.empty() ? 0 : static_cast<int>(Exit::weights);
}

}  // namespace

Command inspect_command() {
  auto flags = std::make_shared<Flags>();
  Flag file = text("FILE", "PATH", "a .safetensors file, a checkpoint or a run directory", flags->file);
  file.required = true;
  Command command{
      .name = "inspect",
      .help = "tensors of a weights file; what would not fit a model",
      .examples = R"(Examples:
  trainer inspect model.safetensors
  trainer inspect output/cnn/default/checkpoints/best
  trainer inspect model.safetensors --against resnet50 --opts MODEL.NUM_CLASSES 10)",
      .flags = source_flags(flags->source, "configuration of that model (classes, channels, stem)"),
      .run = [flags] { return inspect(*flags); },
      .refuse = [flags](const auto& problems) { flags->source.refuse(problems, std::nullopt); }};
  command.flags.push_back(std::move(file));
  Flag against = text("--against", "MODEL",
                      "a model's name: lists what would not fit (exit code 4 if anything)", flags->against);
  against.offered = {"@models"};
  command.flags.push_back(std::move(against));
  command.flags.push_back(toggle("--json", "for programs", flags->json));
  return command;
}

}  // namespace trainer::app
