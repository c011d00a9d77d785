#include "lib/train/run_state.h"

#include "lib/base/log.h"
#include "lib/comm/synchronize.h"

namespace trainer::train {
namespace {

constexpr std::string_view state_file = "state.json";

/// state.json, both directions.
void state(checkpoint::Archive& a, Trainer& trainer, Origin& origin) {
  a("trainer", trainer);
  a("origin", origin);
}

void broadcast(comm::Comm& comm, std::vector<checkpoint::Item> items, std::string_view what) {
  std::vector<comm::NamedTensor> tensors;
  for (checkpoint::Item& item : items) tensors.emplace_back(item.name, &item.value);
  comm::broadcast_from_rank0(comm, tensors, what);
}

}  // namespace

std::string on_rank0(comm::Comm& comm, const std::function<std::string()>& f) {
  if (comm.size() == 1) return f();
  // '0' and the result, or a byte with the exit code and the message.
  std::string told;
  if (comm.rank() == 0) {
    try {
      told = '\0' + f();
    } catch (const Error& error) {
      told = static_cast<char>(error.code()) + std::string(error.what());
    } catch (const std::exception& error) {
      told = static_cast<char>(Exit::internal) + std::string(error.what());
    }
  }
  const std::string answer = comm.all_gather(told, "rank 0's decision").front();
  if (answer.front() != '\0') throw Error(Exit{static_cast<unsigned char>(answer.front())}, answer.substr(1));
  return answer.substr(1);
}

namespace {

/// state.safetensors.
std::vector<checkpoint::Item> state_items(const Parts& parts) {
  auto items = checkpoint::optimizer_items(parts.parameters, parts.optimizer);
  for (checkpoint::Item& item : checkpoint::unmerged_items(parts.model)) items.push_back(std::move(item));
  return items;
}

}  // namespace

checkpoint::SaveRequest run_state(Trainer& trainer, const Origin& origin) {
  const Parts& parts = trainer.parts();
  checkpoint::Archive archive;
  Origin copy = origin;
  state(archive, trainer, copy);
  return {.step = trainer.step(),
          .model = checkpoint::exported_items(parts.model),
          .state = state_items(parts),
          .state_json = archive.text()};
}

void restore(Trainer& trainer, const Origin& now, const fs::path& checkpoint) {
  const Parts& parts = trainer.parts();
  const fs::path path = checkpoint / state_file;
  const std::string text = on_rank0(parts.comm, [&] {
    std::string json = read_file(path, Exit::weights);
    checkpoint::Archive archive(json, path.string());
    Origin before;
    archive("origin", before);
    check_changes(compare(before, now), checkpoint.string());
    checkpoint::load_items(checkpoint::plain_items(parts.model), checkpoint / "model.safetensors");
    checkpoint::load_items(state_items(parts),
                           checkpoint / "state.safetensors");  // merged weights get their own
    return json;
  });
  checkpoint::Archive archive(text, path.string());
  Origin before;
  state(archive, trainer, before);
  begin_together(parts.model, parts.comm);
  broadcast(parts.comm, checkpoint::optimizer_items(parts.parameters, parts.optimizer), "optimizer state");
}

void begin_together(nn::Model& model, comm::Comm& comm) {
  broadcast(comm, checkpoint::model_items(model), "model");
}

}  // namespace trainer::train
