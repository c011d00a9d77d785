// What a checkpoint of ViT-Base with AdamW (86.6 M parameters, 1.04 GB) costs: the time for which training
// stands still, and the time until it is durable. scripts/bench/checkpoint runs it beside PyTorch.
//
//   bench_checkpoint FOLDER SAVES      one line per save: stall and durable in seconds, bytes
#include <cstdio>
#include <cstdlib>
#include <deque>

#include "lib/base/system.h"
#include "lib/checkpoint/step_directory.h"
#include "lib/checkpoint/writer.h"
#include "lib/config/config.h"

using namespace trainer;

namespace {

/// timm's vit_base_patch16_224: its names and shapes, nothing else.
class VitBase final : public nn::Module {
 public:
  VitBase() {
    add("cls_token", {1, 1, 768}), add("pos_embed", {1, 197, 768});
    add("patch_embed.proj.weight", {768, 16, 16, 3}, nn::Layout::filter), add("patch_embed.proj.bias", {768});
    for (int i = 0; i < 12; ++i) {
      const std::string block = "blocks." + std::to_string(i) + ".";
      pair(block + "norm1", {768}, 768);
      pair(block + "attn.qkv", {2304, 768}, 2304);
      pair(block + "attn.proj", {768, 768}, 768);
      pair(block + "norm2", {768}, 768);
      pair(block + "mlp.fc1", {3072, 768}, 3072);
      pair(block + "mlp.fc2", {768, 3072}, 768);
    }
    pair("norm", {768}, 768);
    pair("head", {1000, 768}, 1000);
  }
  Var forward(const Var& x) override { return x; }
  void visit(nn::Visitor& v) override {
    for (auto& [name, parameter] : parameters_) v(name, parameter);
  }

 private:
  void add(const std::string& name, const Shape& shape, nn::Layout layout = nn::Layout::plain) {
    parameters_.emplace_back(name, nn::Parameter(shape, nn::Init::zeros(), layout));
  }
  void pair(const std::string& name, const Shape& weight, int64_t bias) {
    add(name + ".weight", weight), add(name + ".bias", {bias});
  }
  std::deque<std::pair<std::string, nn::Parameter>> parameters_;
};

void fill(Tensor arena, uint32_t seed) {
  for (float& v : arena.span<float>())
    v = static_cast<float>(static_cast<int32_t>(seed = seed * 1664525 + 1013904223));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  try {
    VitBase model;
    optim::Parameters parameters(model, {});
    const config::Config defaults = config::Config::defaults();
    const auto optimizer = optim::optimizers().make("adamw", defaults.group("TRAIN.OPTIMIZER"), parameters);
    fill(parameters.values(), 1);
    optimizer->visit(
        [](std::string_view name, Tensor& arena) { fill(arena, static_cast<uint32_t>(name.size())); });

    const fs::path checkpoints = argv[1];
    const int saves = std::atoi(argv[2]);
    checkpoint::Writer writer({.checkpoints = checkpoints, .run_id = "bench", .keep = saves});
    const auto weights = [&] { return checkpoint::model_items(model); };
    const auto state = [&] { return checkpoint::optimizer_items(parameters, *optimizer); };
    writer.reserve(weights(), state());
    writer.wait();
    for (int64_t step = 1; step <= saves; ++step) {
      const double begin = now();
      writer.save({.step = step, .model = weights(), .state = state(), .state_json = "{}\n"});
      const double stall = now() - begin;
      writer.wait();
      const double durable = now() - begin;
      uint64_t bytes = 0;
      const auto manifest = checkpoint::read_manifest(checkpoints / checkpoint::step_name(step));
      for (const auto& entry : manifest.files) bytes += entry.second.bytes;
      std::printf("%.4f %.4f %llu\n", stall, durable, static_cast<unsigned long long>(bytes));
    }
  } catch (const Error& e) {
    std::fprintf(stderr, "bench_checkpoint: %s\n", e.what());
    return static_cast<int>(e.code());
  }
}
