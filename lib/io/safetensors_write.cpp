#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <tuple>

#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/io/safetensors.h"
#include "lib/io/safetensors_header.h"

namespace trainer::io {

using namespace safetensors;

namespace {

/// A JSON string. Throws if the text is not UTF-8.
std::string quoted(const std::string& text, const fs::path& path, Exit code) {
  try {
    return nlohmann::json(text).dump();
  } catch (const nlohmann::json::type_error&) {
    fail(code, "{}: cannot write '{}': not valid UTF-8", path.string(), printable(text));
  }
}

std::string_view text_of(DType dtype) {
  const auto type = std::find_if(file_dtypes.begin(), file_dtypes.end(),
                                 [&](const FileDType& t) { return t.dtype == dtype; });
  check(type != file_dtypes.end(), "safetensors has no dtype {}", name_of(dtype));
  return type->text;
}

/// Positions in `specs`, by dtype size and name.
std::vector<size_t> in_file_order(std::span<const TensorSpec> specs) {
  std::vector<size_t> order;
  std::set<std::string_view> names{metadata_key};
  for (const TensorSpec& t : specs) {
    check(names.insert(t.name).second, "write_safetensors: '{}' is given twice", t.name);
    order.push_back(order.size());
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const size_t a_size = size_of(specs[a].dtype), b_size = size_of(specs[b].dtype);
    return std::tie(b_size, specs[a].name) < std::tie(a_size, specs[b].name);
  });
  return order;
}

size_t bytes_of(const TensorSpec& t) { return static_cast<size_t>(t.shape.numel()) * size_of(t.dtype); }

std::string header_of(std::span<const TensorSpec> specs, const std::vector<size_t>& order,
                      const std::map<std::string, std::string>& metadata, const fs::path& path, Exit code) {
  std::string text = "{";
  const auto separate = [&text] {
    if (text.back() != '{') text += ',';
  };
  if (!metadata.empty()) {
    text += fmt::format("\"{}\":{{", metadata_key);
    for (const auto& [key, value] : metadata) {
      separate();
      text += quoted(key, path, code) + ":" + quoted(value, path, code);
    }
    text += "}";
  }
  size_t begin = 0;
  for (const size_t i : order) {
    const TensorSpec& t = specs[i];
    const size_t end = begin + bytes_of(t);
    separate();
    text +=
        fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", quoted(t.name, path, code),
                    text_of(t.dtype), fmt::join(t.shape.begin(), t.shape.end(), ","), begin, end);
    begin = end;
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

void write_safetensors(std::span<const TensorSpec> specs, const std::map<std::string, std::string>& metadata,
                       const std::function<Tensor(size_t)>& tensor,
                       const std::function<void(std::span<const std::byte>)>& write, const fs::path& path,
                       Exit code) {
  const auto order = in_file_order(specs);
  const std::string header = header_of(specs, order, metadata, path, code);
  check(code, header.size() <= max_header_bytes,
        "{}: cannot write: a header of {} bytes is longer than the {} allowed", path.string(), header.size(),
        max_header_bytes);
  const uint64_t length = header.size();
  write(std::as_bytes(std::span(&length, 1)));
  write(std::as_bytes(std::span(header)));
  for (const size_t i : order) {
    const Tensor given = tensor(i);
    const Tensor host = given.device().is_host() ? given : given.to(Device{});
    check(host.dtype() == specs[i].dtype && host.shape() == specs[i].shape,
          "write_safetensors: '{}' is declared as {} {} and given as {}", specs[i].name,
          name_of(specs[i].dtype), specs[i].shape, describe(host));
    write({host.raw(), host.bytes()});
  }
}

void write_safetensors(const fs::path& path, std::span<const std::pair<std::string, Tensor>> tensors,
                       const std::map<std::string, std::string>& metadata, Exit code) {
  std::vector<TensorSpec> specs;
  for (const auto& [name, t] : tensors) {
    check(t.defined(), "write_safetensors: the tensor '{}' is undefined", name);
    specs.push_back({name, t.dtype(), t.shape()});
  }
  AtomicFile file(path, code);
  write_safetensors(
      specs, metadata, [&](size_t i) { return tensors[i].second; },
      [&](std::span<const std::byte> bytes) { file.write(bytes); }, path, code);
  file.commit();
}

}  // namespace trainer::io
