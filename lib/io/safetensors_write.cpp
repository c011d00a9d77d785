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

using Named = std::pair<std::string, Tensor>;

/// A JSON string. Throws for text that is not UTF-8: the format could not hold it.
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

std::vector<const Named*> in_file_order(std::span<const Named> tensors) {
  std::vector<const Named*> order;
  std::set<std::string_view> names{metadata_key};
  for (const Named& t : tensors) {
    check(t.second.defined(), "write_safetensors: '{}' is no tensor", t.first);
    check(names.insert(t.first).second, "write_safetensors: '{}' is there twice", t.first);
    order.push_back(&t);
  }
  std::sort(order.begin(), order.end(), [](const Named* a, const Named* b) {
    const size_t a_size = size_of(a->second.dtype()), b_size = size_of(b->second.dtype());
    return std::tie(b_size, a->first) < std::tie(a_size, b->first);
  });
  return order;
}

std::string header_of(const std::vector<const Named*>& order,
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
  for (const Named* t : order) {
    const Shape& shape = t->second.shape();
    const size_t end = begin + t->second.bytes();
    separate();
    text += fmt::format(R"({}:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})",
                        quoted(t->first, path, code), text_of(t->second.dtype()),
                        fmt::join(shape.begin(), shape.end(), ","), begin, end);
    begin = end;
  }
  text += "}";
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

void write_safetensors(const fs::path& path, std::span<const Named> tensors,
                       const std::map<std::string, std::string>& metadata, Exit code) {
  const auto order = in_file_order(tensors);
  const std::string header = header_of(order, metadata, path, code);
  check(code, header.size() <= max_header_bytes,
        "{}: cannot write: a header of {} bytes is longer than the {} allowed", path.string(), header.size(),
        max_header_bytes);
  const uint64_t length = header.size();

  AtomicFile file(path, code);
  file.write(std::as_bytes(std::span(&length, 1)));
  file.write(header);
  for (const Named* t : order) {
    const Tensor host = t->second.device().is_host() ? t->second : t->second.to(Device{});
    file.write({host.raw(), host.bytes()});
  }
  file.commit();
}

}  // namespace trainer::io
