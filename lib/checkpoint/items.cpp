#include "lib/checkpoint/items.h"

#include <algorithm>
#include <set>

#include "lib/io/safetensors.h"
#include "lib/ops/layout.h"

namespace trainer::checkpoint {

Shape Item::file_shape() const {
  const Shape& s = value.shape();
  return layout == nn::Layout::filter ? Shape{s[0], s[3], s[1], s[2]} : s;
}

Tensor Item::to_file() const {
  const Tensor host = value.device().is_host() ? value : value.to(Device{});
  return layout == nn::Layout::filter ? ops::to_channels_first(host) : host;
}

void Item::assign(const Tensor& from_file) {
  Tensor host = from_file.to(value.dtype());
  if (layout == nn::Layout::filter) host = ops::to_channels_last(host);
  value.copy_from(host.to(value.device()));
}

std::vector<Item> model_items(nn::Module& model) {
  std::vector<Item> items;
  for (const auto& [name, p] : nn::parameters(model)) items.push_back({name, p->value(), p->layout});
  for (const auto& [name, b] : nn::buffers(model)) items.push_back({name, b->value});
  return items;
}

std::vector<Item> plain_items(nn::Module& model) {
  std::vector<Item> items;
  for (const auto& [name, p] : nn::parameters(model)) {
    if (!p->internal) items.push_back({name, p->value(), p->layout});
  }
  for (const auto& [name, b] : nn::buffers(model)) items.push_back({name, b->value});
  return items;
}

std::vector<Item> exported_items(nn::Module& model) {
  std::vector<Item> items = plain_items(model);
  size_t i = 0;
  for (const auto& [name, p] : nn::parameters(model)) {
    if (p->internal) continue;
    if (p->exported) items[i].value = p->exported(p->value());
    ++i;
  }
  return items;
}

std::vector<Item> unmerged_items(nn::Module& model) {
  std::vector<Item> items;
  for (const auto& [name, p] : nn::parameters(model)) {
    if (p->internal || p->exported) items.push_back({"model." + name, p->value(), p->layout});
  }
  return items;
}

std::vector<Item> arena_items(std::string_view name, const optim::Parameters& parameters,
                              const Tensor& arena) {
  std::vector<Item> items;
  for (const optim::Span& span : parameters.trainable()) {
    items.push_back({fmt::format("{}.{}", name, span.name), optim::Parameters::part(arena, span),
                     span.parameter->layout});
  }
  return items;
}

std::vector<Item> optimizer_items(const optim::Parameters& parameters, optim::Optimizer& optimizer) {
  std::vector<Item> items;
  optimizer.visit([&](std::string_view name, Tensor& arena) {
    for (Item& item : arena_items(name, parameters, arena)) items.push_back(std::move(item));
  });
  return items;
}

void write_items(std::span<const Item> items, const fs::path& path,
                 const std::function<void(std::span<const std::byte>)>& write) {
  std::vector<io::TensorSpec> specs;
  for (const Item& item : items) specs.push_back({item.name, item.value.dtype(), item.file_shape()});
  io::write_safetensors(
      specs, {{"format", "pt"}}, [&](size_t i) { return items[i].to_file(); }, write, path, Exit::weights);
}

void load_items(std::span<const Item> items, const fs::path& path) {
  const io::SafetensorsFile file(path, Exit::weights);
  std::vector<std::string> problems;
  std::set<std::string_view> names;
  for (const Item& item : items) {
    names.insert(item.name);
    const auto expected = fmt::format("{} {}", name_of(item.value.dtype()), item.file_shape());
    if (!file.has(item.name)) {
      problems.push_back(fmt::format("missing     {} {}", item.name, expected));
      continue;
    }
    const io::TensorInfo& info = file.info(item.name);
    if (info.dtype == item.value.dtype() && info.shape == item.file_shape()) continue;
    const std::string found = info.dtype ? std::string(name_of(*info.dtype)) : info.dtype_text;
    problems.push_back(fmt::format("misshapen   {}: the file has {} {}, expected {}", item.name, found,
                                   info.shape, expected));
  }
  for (const io::TensorInfo& t : file.tensors()) {
    if (!names.contains(t.name)) problems.push_back(fmt::format("unexpected  {} {}", t.name, t.shape));
  }
  if (!problems.empty()) fail_misfits(path, "this run", problems);
  for (Item item : items) item.assign(file.tensor(item.name));
}

void fail_misfits(const fs::path& path, std::string_view what, std::span<const std::string> problems) {
  constexpr size_t most = 20;
  std::string table;
  for (size_t i = 0; i < std::min(most, problems.size()); ++i) table += "\n  " + problems[i];
  if (problems.size() > most) table += fmt::format("\n  ... and {} more", problems.size() - most);
  fail(Exit::weights, "{}: {} tensors do not fit {}:{}", path.string(), problems.size(), what, table);
}

}  // namespace trainer::checkpoint
