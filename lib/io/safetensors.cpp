#include "lib/io/safetensors.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <tuple>

#include "lib/base/file.h"
#include "lib/base/text.h"
#include "lib/io/safetensors_header.h"

namespace trainer::io {

using namespace safetensors;

namespace {

/// The header's text. Its length is checked against the file before anything is allocated for it.
std::string_view header_text(std::span<const std::byte> file, const fs::path& path, Exit code) {
  check(code, file.size() >= prefix_bytes, "{}: not a safetensors file: only {} bytes long", path.string(),
        file.size());
  uint64_t length = 0;
  std::memcpy(&length, file.data(), prefix_bytes);
  check(code, length <= max_header_bytes,
        "{}: not a safetensors file: a header of {} bytes is longer than the {} allowed", path.string(),
        length, max_header_bytes);
  check(code, length <= file.size() - prefix_bytes, "{}: truncated: a header of {} bytes in a file of {}",
        path.string(), length, file.size());
  return {reinterpret_cast<const char*>(file.data()) + prefix_bytes, length};
}

/// Checks one entry: its dtype is known, and dtype and shape agree with its offsets.
TensorInfo info_of(const Entry& entry, const fs::path& path, Exit code) {
  const auto context = [&] { return fmt::format("{}: tensor '{}'", path.string(), printable(entry.name)); };
  const auto type = std::find_if(file_dtypes.begin(), file_dtypes.end(),
                                 [&](const FileDType& t) { return t.text == entry.dtype; });
  if (type == file_dtypes.end()) fail(code, "{}: unknown dtype '{}'", context(), printable(entry.dtype));

  std::vector<int64_t> extents;
  uint64_t bits = 1;
  bool fits = true;
  for (const uint64_t extent : entry.shape) {
    fits = fits && extent <= INT64_MAX && !__builtin_mul_overflow(bits, extent, &bits);
    extents.push_back(static_cast<int64_t>(extent));
  }
  fits = fits && bits <= INT64_MAX && !__builtin_mul_overflow(bits, uint64_t{type->bits}, &bits);
  if (!fits) fail(code, "{}: shape [{}] is too large", context(), fmt::join(entry.shape, ", "));
  const Shape shape{std::span<const int64_t>(extents)};
  if (bits % 8 != 0) fail(code, "{}: {} {} does not fill whole bytes", context(), entry.dtype, shape);

  const uint64_t begin = entry.offsets[0], end = entry.offsets[1];
  if (end < begin) fail(code, "{}: data_offsets [{}, {}] run backwards", context(), begin, end);
  if (end - begin != bits / 8) {
    fail(code, "{}: {} {} needs {} bytes, data_offsets [{}, {}] give {}", context(), entry.dtype, shape,
         bits / 8, begin, end, end - begin);
  }
  return {entry.name, entry.dtype, type->dtype, shape, begin, end};
}

/// Checks that the tensors, sorted by offset, cover every byte of the payload exactly once.
void check_coverage(const std::vector<TensorInfo>& tensors, size_t payload, const fs::path& path, Exit code) {
  size_t covered = 0;
  for (const TensorInfo& t : tensors) {
    if (t.begin != covered) {
      fail(code, "{}: tensor '{}': begins at byte {}, {} the tensor before it, which ends at {}",
           path.string(), printable(t.name), t.begin, t.begin < covered ? "inside of" : "with a gap after",
           covered);
    }
    covered = t.end;
  }
  check(code, covered <= payload, "{}: truncated: the tensors need {} bytes, the file has {}", path.string(),
        covered, payload);
  check(code, covered == payload, "{}: {} bytes after the last tensor", path.string(), payload - covered);
}

}  // namespace

SafetensorsFile::SafetensorsFile(const fs::path& path, Exit code) : path_(path), code_(code) {
  const auto map = std::make_shared<MappedFile>(path, code);
  const std::string_view text = header_text(map->bytes(), path, code);
  payload_ = prefix_bytes + text.size();

  Header header = parse_header(text, path, code);
  metadata_ = std::move(header.metadata);
  tensors_.reserve(header.entries.size());
  for (const Entry& entry : header.entries) tensors_.push_back(info_of(entry, path, code));
  // Empty tensors begin where the next one does.
  std::sort(tensors_.begin(), tensors_.end(), [](const TensorInfo& a, const TensorInfo& b) {
    return std::tie(a.begin, a.end, a.name) < std::tie(b.begin, b.end, b.name);
  });
  check_coverage(tensors_, map->bytes().size() - payload_, path, code);
  for (size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);
  storage_ = Storage(map->bytes().data(), map->bytes().size(), Device{}, map);
}

const TensorInfo& SafetensorsFile::info(std::string_view name) const {
  const auto entry = index_.find(name);
  if (entry == index_.end()) {
    std::vector<std::string> names;
    for (const TensorInfo& t : tensors_) names.push_back(printable(t.name));
    fail(code_, "{}: has no tensor '{}'{}", path_.string(), printable(name), did_you_mean(name, names));
  }
  return tensors_[entry->second];
}

Tensor SafetensorsFile::tensor(std::string_view name) const {
  const TensorInfo& t = info(name);
  if (!t.dtype) {
    fail(code_, "{}: tensor '{}': dtype {} is not supported (F32, F64, F16, BF16, I32, I64 and U8 are)",
         path_.string(), printable(name), t.dtype_text);
  }
  const size_t offset = payload_ + t.begin;
  const std::byte* bytes = storage_.data() + offset;
  if (reinterpret_cast<uintptr_t>(bytes) % size_of(*t.dtype) == 0) {
    return Tensor::over(storage_, offset, t.shape, *t.dtype);
  }
  Tensor copy = Tensor::empty(t.shape, *t.dtype);
  if (copy.bytes() > 0) std::memcpy(copy.raw(), bytes, copy.bytes());
  return copy;
}

}  // namespace trainer::io
