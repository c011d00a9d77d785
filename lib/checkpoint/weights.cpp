#include "lib/checkpoint/weights.h"

#include <algorithm>
#include <array>
#include <map>

#include "lib/base/log.h"
#include "lib/io/safetensors.h"
#include "lib/ops/layout.h"

namespace trainer::checkpoint {
namespace {

Tensor to_file_layout(const Tensor& t, nn::Layout layout) {
  const Tensor host = t.to(Device{});
  return layout == nn::Layout::filter ? ops::to_channels_first(host) : host;
}

Shape file_shape(const nn::Parameter& p) {
  const Shape& s = p.var.shape();
  return p.layout == nn::Layout::filter ? Shape{s[0], s[3], s[1], s[2]} : s;
}

/// One tensor of the model, and how a file's tensor gets into it.
struct Slot {
  std::string name;
  Shape shape;  // in files
  DType dtype;
  nn::Layout layout;
  Tensor memory;
  bool optional = false;

  void assign(const Tensor& from) {
    Tensor host = from.to(dtype);
    if (layout == nn::Layout::filter) host = ops::to_channels_last(host);
    memory.copy_from(host.to(memory.device()));
  }
};

std::vector<Slot> slots(nn::Module& model) {
  std::vector<Slot> all;
  for (const auto& [name, p] : nn::parameters(model)) {
    all.push_back({name, file_shape(*p), p->var.value().dtype(), p->layout, p->var.value()});
  }
  for (const auto& [name, b] : nn::buffers(model)) {
    all.push_back({name, b->value.shape(), b->value.dtype(), nn::Layout::plain, b->value,
                   name.ends_with("num_batches_tracked")});
  }
  return all;
}

/// The wrapper's prefix that every name in the file carries, or "".
std::string common_prefix(const io::SafetensorsFile& file) {
  static constexpr std::array<std::string_view, 4> wrappers{"model.", "module.", "state_dict.", "_orig_mod."};
  std::string prefix;
  for (bool found = !file.tensors().empty(); found;) {
    found = false;
    for (const auto wrapper : wrappers) {
      const std::string longer = prefix + std::string(wrapper);
      if (std::ranges::all_of(file.tensors(), [&](const auto& t) { return t.name.starts_with(longer); })) {
        prefix = longer;
        found = true;
        break;
      }
    }
  }
  return prefix;
}

struct Comparison {
  std::vector<std::pair<Slot, std::string>> fitting;  // with the name in the file
  std::vector<std::string> problems;
  std::vector<std::string> replaced;  // the classifier's tensors of another size
};

Comparison compare(nn::Module& model, const io::SafetensorsFile& file, const std::string& replaceable) {
  const std::string prefix = common_prefix(file);
  std::map<std::string, Shape> in_file;
  for (const auto& t : file.tensors()) in_file.emplace(t.name.substr(prefix.size()), t.shape);
  Comparison result;
  for (Slot& slot : slots(model)) {
    const auto found = in_file.find(slot.name);
    if (found == in_file.end()) {
      if (!slot.optional) result.problems.push_back(fmt::format("missing     {} {}", slot.name, slot.shape));
      continue;
    }
    if (found->second == slot.shape) {
      result.fitting.emplace_back(slot, prefix + slot.name);
    } else if (!replaceable.empty() && slot.name.starts_with(replaceable + ".")) {
      result.replaced.push_back(slot.name);
    } else {
      result.problems.push_back(
          fmt::format("misshapen   {}: the file has {}, the model {}", slot.name, found->second, slot.shape));
    }
    in_file.erase(found);
  }
  for (const auto& tensor : in_file) {  // no names for the pair: clang 14 cannot capture them
    const bool of_model =
        std::ranges::any_of(result.fitting, [&](const auto& f) { return f.first.name == tensor.first; });
    if (!of_model) result.problems.push_back(fmt::format("unexpected  {} {}", tensor.first, tensor.second));
  }
  return result;
}

}  // namespace

StateDict state_dict(nn::Module& model) {
  StateDict dict;
  for (const Slot& slot : slots(model))
    dict.emplace_back(slot.name, to_file_layout(slot.memory, slot.layout));
  return dict;
}

void save_weights(nn::Module& model, const fs::path& file) {
  io::write_safetensors(file, state_dict(model), {{"format", "pt"}}, Exit::weights);
}

void load_weights(nn::Model& model, const fs::path& path, const LoadOptions& options) {
  const io::SafetensorsFile file(path, Exit::weights);
  Comparison c = compare(model, file, options.replace_classifier ? model.classifier() : "");
  if (!c.problems.empty()) {
    constexpr size_t most = 20;
    std::string table;
    for (size_t i = 0; i < std::min(most, c.problems.size()); ++i) table += "\n  " + c.problems[i];
    if (c.problems.size() > most) table += fmt::format("\n  ... and {} more", c.problems.size() - most);
    fail(Exit::weights, "{}: {} tensors do not fit the model:{}", path.string(), c.problems.size(), table);
  }
  for (auto& [slot, name] : c.fitting) slot.assign(file.tensor(name));
  if (!c.replaced.empty()) {
    log::warn("{}: the classifier '{}' has another size there and keeps its initial values", path.string(),
              model.classifier());
  }
}

std::vector<std::string> mismatches(nn::Module& model, const fs::path& path) {
  return compare(model, io::SafetensorsFile(path, Exit::weights), "").problems;
}

}  // namespace trainer::checkpoint
