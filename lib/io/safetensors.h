// Reading and writing safetensors files (https://github.com/huggingface/safetensors): named tensors.
//
//   const std::vector<std::pair<std::string, Tensor>> tensors{{"fc.weight", w}, {"fc.bias", b}};
//   io::write_safetensors("w.safetensors", tensors, {{"format", "pt"}}, Exit::weights);
//   const io::SafetensorsFile file("w.safetensors", Exit::weights);
//   Tensor weight = file.tensor("fc.weight");
//
// The format: a u64 N, N bytes of JSON, then the bytes of all tensors, row-major and without gaps. Numbers
// are little endian. The JSON is
//
//   {"fc.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...,
//    "__metadata__": {"key": "text"}}
//
// Tensors are as in the file: axes are not reordered (PyTorch's files hold NCHW and OIHW).
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

/// The header's entry for a tensor.
struct TensorInfo {
  std::string name;
  std::string dtype_text;      ///< as in the file: "F32", "F8_E4M3"
  std::optional<DType> dtype;  ///< nullopt for a type that Tensor lacks: it can be listed, but not read
  Shape shape;
  size_t begin, end;  ///< bytes, counted from the end of the header
};

/// A file that is open for reading. The constructor maps it and validates the whole header, so a malformed
/// file is refused at once. Every error is an Error with the code given there, which names the file and the
/// tensor. May be read from several threads.
class SafetensorsFile {
 public:
  SafetensorsFile(const fs::path&, Exit code);

  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// In the order of their data in the file.
  const std::vector<TensorInfo>& tensors() const { return tensors_; }
  bool has(std::string_view name) const { return index_.contains(name); }
  /// Throws, with near names, if there is no such tensor.
  const TensorInfo& info(std::string_view name) const;
  /// The tensor, on the CPU. It uses the mapped memory, which it keeps alive, unless that is not aligned for
  /// the dtype: then it is a copy. Writing into it does not change the file.
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

/// Writes a file, whole or not at all (AtomicFile). Tensors may be on any device. Equal content gives equal
/// bytes, whatever the order of `tensors`: they are sorted by dtype size, largest first, then by name, and
/// the header is padded with spaces, so every tensor is aligned.
void write_safetensors(const fs::path&, std::span<const std::pair<std::string, Tensor>>,
                       const std::map<std::string, std::string>& metadata, Exit code);

/// The header's entry for a tensor that is to be written.
struct TensorSpec {
  std::string name;
  DType dtype;
  Shape shape;
};

/// Writes the same bytes in a stream, without all tensors in memory at once: `tensor(i)` returns the tensor
/// of specs[i] and is called once for each, in the order of the file; `write` gets the bytes front to back.
/// `path` is for messages.
void write_safetensors(std::span<const TensorSpec> specs, const std::map<std::string, std::string>& metadata,
                       const std::function<Tensor(size_t)>& tensor,
                       const std::function<void(std::span<const std::byte>)>& write, const fs::path& path,
                       Exit code);

}  // namespace trainer::io
