// Items: the tensors of a program under the names that files give them, and how they get in and out.
//
// Files keep the ecosystem's layout (convolution weights OIHW); memory is channels last. The conversion
// happens here, once per item that is read or written.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/file.h"
#include "lib/optim/optimizer.h"

namespace trainer::checkpoint {

/// A tensor that a checkpoint holds. Copies share the memory that they name.
struct Item {
  std::string name;
  Tensor value;
  nn::Layout layout = nn::Layout::plain;

  Shape file_shape() const;
  /// On the host, in the layout of files; shares memory where nothing has to change.
  Tensor to_file() const;
  /// Overwrites `value` with a file's tensor of file_shape(); other dtypes convert.
  void assign(const Tensor& from_file);
};

/// What a model computes with: parameters, then buffers, by timm's names: "layer1.0.conv1.weight".
std::vector<Item> model_items(nn::Module&);

/// The same without adapters: where a file of weights is read to.
std::vector<Item> plain_items(nn::Module&);
/// What a file of weights is written from: plain_items() with the adapters merged. A merged weight is a copy.
std::vector<Item> exported_items(nn::Module&);
/// What exported_items() loses and going on needs: adapters, and the weights that they are merged into, as
/// "model.layers.0.lora_A.weight".
std::vector<Item> unmerged_items(nn::Module&);

/// An arena of the parameters' layout as one item per trainable parameter: "exp_avg.layer1.0.conv1.weight". A
/// tied weight goes by its first name.
std::vector<Item> arena_items(std::string_view name, const optim::Parameters&, const Tensor& arena);

/// All arenas of an optimizer.
std::vector<Item> optimizer_items(const optim::Parameters&, optim::Optimizer&);

/// The bytes of the safetensors file that holds `items`, front to back. Equal items give equal bytes. `path`
/// is for messages.
void write_items(std::span<const Item> items, const fs::path& path,
                 const std::function<void(std::span<const std::byte>)>& write);

/// Reads a file that holds exactly these items, with these dtypes. Otherwise Error(Exit::weights) lists what
/// does not fit, and nothing has been loaded.
void load_items(std::span<const Item> items, const fs::path& file);

/// Throws Error(Exit::weights): "PATH: N tensors do not fit WHAT:" and the first of `problems`, one a line.
[[noreturn]] void fail_misfits(const fs::path&, std::string_view what, std::span<const std::string> problems);

}  // namespace trainer::checkpoint
