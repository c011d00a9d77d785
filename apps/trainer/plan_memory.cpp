// The memory of a plan: steps are rehearsed with the run's own shapes, by the code that computes them.
#include <algorithm>

#include "apps/trainer/plan.h"
#include "lib/base/system.h"
#include "lib/checkpoint/snapshot.h"
#include "lib/optim/clip.h"
#include "lib/tensor/constant_weights.h"

namespace trainer::app {
namespace {

constexpr Device cpu{};

/// Sums nothing, but knows of what.
class CountedSums final : public autograd::BatchSum {
 public:
  explicit CountedSums(BatchNormSums& counts) : counts_(counts) {}
  void sum(Tensor& t) override {
    ++counts_.calls;
    counts_.bytes += static_cast<int64_t>(t.bytes());
  }

 private:
  BatchNormSums& counts_;
};

Shape batch_of(int64_t size, const Shape& sample) {
  std::vector<int64_t> extents{size};
  extents.insert(extents.end(), sample.begin(), sample.end());
  return Shape(std::span<const int64_t>(extents));
}

int64_t sum_of_sizes(const std::vector<optim::Span>& spans) {
  int64_t sum = 0;
  for (const auto& span : spans) sum += span.size;
  return sum;
}

/// Of the tensors that live from step to step.
Memory lasting(const train::Training& t) {
  const optim::Parameters& p = *t.parameters;
  const auto bytes = [](const Tensor& tensor) { return static_cast<int64_t>(tensor.bytes()); };
  const int64_t element = static_cast<int64_t>(size_of(p.values().dtype()));
  Memory m{.parameters = bytes(p.values()) + element * sum_of_sizes(p.frozen()),
           .gradients = bytes(p.gradients())};
  for (const auto& [name, buffer] : nn::buffers(*t.model)) m.parameters += bytes(buffer->value);
  t.optimizer->visit([&](std::string_view, Tensor& arena) { m.optimizer += bytes(arena); });
  if (p.precision().mixed()) {
    const auto half = static_cast<int64_t>(size_of(p.precision().compute));
    m.copies = half * (p.values().numel() + sum_of_sizes(p.frozen()));
  }
  return m;
}

/// A forward and backward pass. Returns what the pool has given out between them.
int64_t pass(const train::Parts& parts, const Tensor& input, const Tensor& target) {
  const Var output = parts.model(Var(input));
  const Var loss = parts.loss(output, target);
  const int64_t held = pool_statistics(cpu).in_use;
  loss.backward(Tensor::full({}, 1, loss.value().dtype()));
  return held;
}

/// Batches of an evaluation after steps, which have left freed blocks.
void rehearse_evaluation(const Planned& plan, std::span<const Storage> weights, const Tensor& input) {
  const NoGrad no_grad;
  nn::Context& context = plan.training.trainer->context();
  const bool was_training = std::exchange(context.training, false);
  const int64_t batches = std::min<int64_t>(plan.validation->batches_per_epoch(), 2);
  std::optional<ConstantWeights> constant;  // as evaluate() has it
  if (batches > 1) constant.emplace(weights);
  for (int64_t i = 0; i < batches; ++i) plan.training.model->forward(Var(input));
  context.training = was_training;
}

int64_t checkpoint_bytes(const train::Parts& parts) {
  auto items = checkpoint::exported_items(parts.model);
  for (const auto& more : {checkpoint::optimizer_items(parts.parameters, parts.optimizer),
                           checkpoint::unmerged_items(parts.model)})
    items.insert(items.end(), more.begin(), more.end());
  return static_cast<int64_t>(checkpoint::Snapshot::bytes_for(items));
}

}  // namespace

Held Held::now() { return {resident_memory_bytes(), pool_statistics(cpu).touched}; }

Memory rehearse(const Planned& plan, const Held& before, BatchNormSums& sums) {
  const train::Settings& s = plan.settings;
  const train::Parts& parts = plan.training.trainer->parts();
  const data::Spec& spec = parts.loader.dataset().spec();
  const int64_t batch = s.loader.batch_size;
  const int64_t built = resident_memory_bytes();  // the growth since `before` is the pool's
  Memory memory = lasting(plan.training);

  CountedSums counted(sums);
  nn::Context& context = plan.training.trainer->context();
  context.training = true;
  context.batch_size = batch * plan.world;
  if (s.train.sync_bn && plan.world > 1) context.batch_sum = &counted;
  const Tensor input = Tensor::empty(batch_of(batch, spec.input));
  const Tensor target = Tensor::full(batch_of(batch, spec.target), 0, spec.target_dtype);
  const auto batch_bytes = static_cast<int64_t>(input.bytes() + target.bytes());
  Tensor control = Tensor::full({ops::Control::size}, 1, DType::f64);
  // What a step asks the pool for is the same from the second one on, and from the second micro-batch.
  const std::vector<Storage> weights = nn::memory_of_weights(parts.model);
  const int64_t micro_batches =
      std::min({s.train.accumulation_steps, parts.loader.batches_per_epoch(), int64_t{2}});
  for (int step = 1; step <= 2; ++step) {
    context.step = static_cast<uint64_t>(step);
    parts.parameters.zero_grad();
    const int64_t before_copies = pool_statistics(cpu).in_use;
    std::optional<ConstantWeights> constant;  // as Trainer::step has it
    if (micro_batches > 1) constant.emplace(weights);
    for (int64_t micro = 0; micro < micro_batches; ++micro) {
      sums = {};
      const int64_t idle = pool_statistics(cpu).in_use;
      memory.activations = batch_bytes + pass(parts, input, target) - idle;
    }
    memory.packed = pool_statistics(cpu).in_use - before_copies;
    constant.reset();
    optim::clip_by_norm(parts.parameters, control, s.train.clip_grad);
    parts.optimizer.step(control);
    parts.parameters.drop_masters();
  }
  context.batch_sum = nullptr;

  const int64_t after_steps = pool_statistics(cpu).touched;
  if (plan.validation != nullptr) rehearse_evaluation(plan, weights, input);
  memory.evaluation = pool_statistics(cpu).touched - after_steps;

  const int64_t pool = after_steps - before.pool;
  memory.workspace = std::max<int64_t>(0, pool - memory.step());
  memory.program = resident_memory_bytes() - (built - before.resident);
  memory.loader = batch_bytes * data::Loader::batches_ahead(parts.loader.sampler(), s.loader);
  if (plan.validation != nullptr)
    memory.loader += batch_bytes * (1 + data::Loader::batches_ahead(plan.validation->sampler(), s.loader));
  memory.checkpoint = checkpoint_bytes(parts);
  return memory;
}

std::string memory_table(const Planned& plan, const Memory& m) {
  const auto line = [](std::string_view name, int64_t bytes, const std::string& more = "") {
    return fmt::format("  {:<36}{:>12}{}{}\n", name, megabytes(bytes), more.empty() ? "" : "   ", more);
  };
  static constexpr auto by_cpu = "as far as the CPU's kernels tell";
  const bool host = plan.device.is_host();
  const int64_t batch = plan.settings.loader.batch_size;
  std::string text =
      host ? "memory of a process\n" : "memory of a process, of which a step's is the device's\n";
  text += line("parameters", m.parameters);
  text += line("gradients", m.gradients);
  text += line(fmt::format("optimizer state ({})", plan.settings.train.optimizer), m.optimizer);
  if (m.copies > 0) {
    const DType compute = plan.training.parameters->precision().compute;
    text += line(fmt::format("{} copies of parameters", name_of(compute)), m.copies);
  }
  if (m.packed > 0)
    text += line("weights in kernels' layouts", m.packed, "kept from micro-batch to micro-batch");
  text += line("activations kept for backward", m.activations,
               fmt::format("{:.3g} MB a sample", static_cast<double>(m.activations / batch) / 1e6));
  text += line("gradients of activations, workspace", m.workspace);
  if (host) {
    text += line("program, libraries, data", m.program);
    text += line("a training step", m.step() + m.program,
                 plan.device.kind == Device::Kind::cpu ? "as --throughput reaches it" : by_cpu);
  } else {
    text += line("a training step", m.step(), by_cpu);
    text += line("program, libraries, data", m.program);
  }
  text += line("batches read ahead", m.loader);
  if (m.evaluation > 0) text += line("evaluation, more than a step", m.evaluation);
  text += line("copy for a checkpoint", m.checkpoint, plan.world > 1 ? "rank 0 alone" : "");
  text += line("the run", m.step() + m.program + m.loader + m.evaluation + m.checkpoint,
               fmt::format("{:.1f} GB are free here", static_cast<double>(memory_info().available) / 1e9));
  return text;
}

}  // namespace trainer::app
