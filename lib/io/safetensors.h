// safetensors files (https://github.com/huggingface/safetensors): named tensors behind a JSON header.
//
//   u64 N (little endian), N bytes of JSON: {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets":
//   [begin, end]}, ...,
//   "__metadata__": {"key": "text"}}, then the tensors' bytes, row-major and little endian, without holes.
//
// Layout is the file's business (NCHW, OIHW in the ecosystem's files): this is bytes <-> named Tensors,
// nothing else.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/error.h"
#include "lib/tensor/tensor.h"

namespace trainer::io {

namespace fs = std::filesystem;

/// What the header says of one tensor.
struct TensorInfo {
  std::string name;
  std::string dtype_text;      ///< as in the file: "F32", "F8_E4M3"
  std::optional<DType> dtype;  ///< none for a type that Tensor lacks: such a tensor can be listed, not read
  Shape shape;
  size_t begin, end;  ///< bytes, counted from the end of the header
};

/// A file from outside, mapped and validated as a whole before anything of it is handed out. Every error is
/// an Error with the code given at construction whose message names the file and, where there is one, the
/// tensor.
class SafetensorsFile {
 public:
  SafetensorsFile(const fs::path&, Exit code);

  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// In the order of their bytes in the file.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  bool has(std::string_view name) const { return index_.contains(name); }
  /// Throws if there is none, with near names.
  const TensorInfo& info(std::string_view name) const;
  /// The tensor on the host, over the mapped bytes: nothing is copied (unless they lie at an address that the
  /// dtype cannot have), the map lives as long as the tensor, and writing into it does not change the file.
  Tensor tensor(std::string_view name) const;

 private:
  fs::path path_;
  Exit code_;
  std::map<std::string, std::string> metadata_;
  std::vector<TensorInfo> tensors_;
  std::map<std::string, size_t, std::less<>> index_;  // into tensors_
  Storage storage_;                                   // the whole file
  size_t payload_ = 0;                                // where the tensors' bytes begin in it
};

/// Writes a whole file or none (AtomicFile). Tensors may live on any device. Equal content gives equal bytes:
/// tensors are ordered by dtype size, largest first, then by name, and the header is padded with spaces, so
/// that every tensor is aligned.
void write_safetensors(const fs::path&, std::span<const std::pair<std::string, Tensor>>,
                       const std::map<std::string, std::string>& metadata, Exit code);

/// A tensor that is to be written: what the header says of it.
struct TensorSpec {
  std::string name;
  DType dtype;
  Shape shape;
};

/// The same bytes for whoever cannot have all tensors at once or is not writing a file: `tensor(i)` gives
/// specs[i] and is called once for each, in the order of the file; `write` gets the bytes front to back.
/// `path` is for messages.
void write_safetensors(std::span<const TensorSpec> specs, const std::map<std::string, std::string>& metadata,
                       const std::function<Tensor(size_t)>& tensor,
                       const std::function<void(std::span<const std::byte>)>& write, const fs::path& path,
                       Exit code);

}  // namespace trainer::io
