#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/trainer/command.h"
#include "lib/base/text.h"
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
  const io::SafetensorsFile file(flags.file, Exit::weights);
  std::vector<std::string> problems;
  if (!flags.against.empty()) {
    const config::Config config = flags.source.merge();
    const auto side = config.get<int64_t>("DATA.IMG_SIZE");
    const std::string channels = config.get<std::string>("MODEL.IN_CHANS");
    const auto model = nn::models().make(flags.against, config.group("MODEL"),
                                         {side, side, channels == "auto" ? 3 : std::stoll(channels)});
    problems = checkpoint::mismatches(*model, flags.file);
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

Action add_inspect(CLI::App& app, const std::vector<std::string>& opts) {
  auto flags = std::make_shared<Flags>();
  flags->source.opts = opts;
  app.add_option("FILE", flags->file, "a .safetensors file")->required();
  app.add_option("--against", flags->against,
                 "a model's name: lists what would not fit (exit code 4 if anything)");
  app.add_option("--cfg", flags->source.cfg, "configuration of that model (classes, channels, stem)")
      ->type_name("FILE");
  app.add_flag("--json", flags->json, "for programs");
  return [flags] { return inspect(*flags); };
}

}  // namespace trainer::app
