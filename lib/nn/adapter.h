// Adapters: small trainable parts beside the frozen layers of a model (parameter-efficient fine-tuning). A
// method is one file, lib/nn/adapters/<name>.cpp; no model family knows of it.
#pragma once

#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "lib/nn/module.h"
#include "lib/registry/registry.h"

namespace trainer::nn {

class Linear;
class Model;

/// What is added to one layer, which owns it. Its parameters have names below the layer's.
class Adapter {
 public:
  virtual ~Adapter() = default;
  /// The adapted layer's output [..., out] for the layer's input x [..., in] and its own output y.
  virtual Var forward(const Var& x, const Var& y) = 0;
  /// weight [out, in] plus the update, a new tensor: with it the plain layer computes in evaluation mode what
  /// the adapted one does.
  virtual Tensor merged(const Tensor& weight) const = 0;
  virtual void visit(Visitor&) = 0;
};

/// A way to adapt a model, with keys of its own in the group MODEL.
class AdapterMethod {
 public:
  virtual ~AdapterMethod() = default;
  /// Does nothing if its keys do not ask for it. To be called before initialize().
  virtual void apply(Model&) const = 0;
};
Registry<AdapterMethod>& adapters();

/// Every registered method does what the configuration asks of it; `group` is MODEL.
void apply_adapters(Model&, const config::Node& group);

/// For methods: gives the linear layers that a pattern in `targets` names (see has_components), or all of
/// them if there is none, what `make` returns for them, and freezes the rest of the model. The classifier
/// stays as it is and is trained. Throws Error(Exit::usage) in the name of `key` for a pattern that names no
/// such layer.
void add_adapters(Model&, std::string_view key, const std::vector<std::string>& targets,
                  const std::function<std::unique_ptr<Adapter>(const Linear&)>& make);

}  // namespace trainer::nn
