// Module: a part of a model. Children, parameters and buffers are plain members; visit() names each of them
// once, with timm's names.
//
//   class Block : public nn::Module {
//    public:
//     Var forward(const Var& x) override { return bn1_.relu(conv1_(x)); }
//     void visit(nn::Visitor& v) override { v("conv1", conv1_), v("bn1", bn1_); }
//    private:
//     nn::Conv2d conv1_;
//     nn::BatchNorm bn1_;
//   };
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/autograd/norm.h"
#include "lib/autograd/var.h"
#include "lib/nn/init.h"

namespace trainer::nn {

/// How a file stores a tensor that we keep channels last.
enum class Layout {
  plain,   ///< the same bytes
  filter,  ///< convolution weights: [O, KH, KW, I] here, [O, I, KH, KW] in files
};

/// What a parameter is to its layer: decides its type under mixed precision (lib/nn/precision.h).
enum class Role : uint8_t {
  product,  ///< weight of a convolution or matrix product
  norm,     ///< scale or shift of a normalisation
  other,
};

/// A tensor that training changes unless it is frozen, f32 (f64 in gradient checks).
struct Parameter {
  Parameter() = default;
  Parameter(const Shape& shape, Init how, Layout in_files = Layout::plain, Role its_role = Role::other)
      : var(Tensor::empty(shape), true), init(how), layout(in_files), role(its_role) {}
  /// The value that is trained and saved.
  const Tensor& value() const { return master.defined() ? master : var.value(); }

  Var var;                     ///< what forward passes see: the value, or a 16-bit copy of it
  Tensor master = {};          ///< the value where `var` is a copy of it
  DType compute = DType::f32;  ///< what activations are computed in where this parameter is used
  Init init = {};
  Layout layout = Layout::plain;
  Role role = Role::other;
  bool frozen = false;  ///< keeps its value: no gradient, no optimizer state
  /// Of an adapter: part of another parameter's `exported`, and in no weights file itself.
  bool internal = false;
  /// What weights files hold in place of the value, where that differs: the weight with its adapter merged.
  std::function<Tensor(const Tensor& value)> exported = {};
};

/// State that is saved with the model but not trained (running statistics).
struct Buffer {
  Tensor value;
  double initial = 0;
};

class Module;
class Observer;

/// Walks a module tree. Paths are joined with dots; list elements are numbered: "layer1.0.conv1.weight".
class Visitor {
 public:
  virtual ~Visitor() = default;

  void operator()(std::string_view name, Parameter& p) { parameter(join(name), p); }
  void operator()(std::string_view name, Buffer& b) { buffer(join(name), b); }
  void operator()(std::string_view name, Module& m);
  template <class M>
  void operator()(std::string_view name, std::vector<M>& list) {
    const std::string outer = std::exchange(path_, join(name));
    for (size_t i = 0; i < list.size(); ++i) (*this)(std::to_string(i), list[i]);
    path_ = outer;
  }
  template <class M>
  void operator()(std::string_view name, std::unique_ptr<M>& m) {
    if (m) (*this)(name, *m);
  }
  template <class M>
  void operator()(std::string_view name, std::optional<M>& m) {
    if (m) (*this)(name, *m);
  }

 protected:
  virtual void parameter(const std::string& /*path*/, Parameter&) {}
  virtual void buffer(const std::string& /*path*/, Buffer&) {}
  /// Before a module's own members are visited. The root's path is "".
  virtual void module(const std::string& /*path*/, Module&) {}

 private:
  friend void walk(Module& root, Visitor& visitor);
  std::string join(std::string_view name) const {
    return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
  }
  std::string path_;
};

/// Visits the root and everything below it.
void walk(Module& root, Visitor& visitor);

/// What a forward pass needs to know beyond its input; one per model, shared by all of its modules (see
/// attach()).
struct Context {
  bool training = false;
  uint64_t seed = 0;
  uint64_t step = 0;  ///< of the optimizer: masks of dropout are a function of seed, layer path, step and row
  /// Position of this batch's first sample in the step's whole batch, over ranks and micro-batches.
  int64_t first_row = 0;
  autograd::BatchSum* batch_sum = nullptr;  ///< SyncBN: sums over all ranks; nullptr: each rank's own part
  int64_t batch_size = 0;                   ///< with batch_sum: samples of the micro-batch over all ranks
  Observer* observer = nullptr;
};

/// Sees the input and output of every module call: a forward hook (lib/nn/trace.h).
class Observer {
 public:
  virtual ~Observer() = default;
  virtual void on_forward(Module&, const Var& x, const Var& y) = 0;
};

class Module {
 public:
  Module() = default;
  Module(Module&&) = default;
  Module& operator=(Module&&) = default;
  virtual ~Module() = default;

  virtual Var forward(const Var& x) = 0;
  virtual void visit(Visitor&) = 0;
  /// "Conv2d(3, 64, kernel 7, stride 2)": for tables.
  virtual std::string description() const { return ""; }
  /// Multiply-accumulates of one call on x that gave y (0 for what does not multiply).
  virtual int64_t macs(const Shape& /*x*/, const Shape& /*y*/) const { return 0; }

  Var operator()(const Var& x) {
    return observed(x, [&] { return forward(x); });
  }

  bool training() const { return context_->training; }
  const Context& context() const { return *context_; }
  /// "layer1.0.conv1" once attached.
  const std::string& path() const { return path_; }

 protected:
  /// Runs `call` on x and shows it to the observer, if there is one: for modules with further ways to be
  /// called.
  template <class F>
  Var observed(const Var& x, F&& call) {
    Var y = call();
    if (context_->observer != nullptr) context_->observer->on_forward(*this, x, y);
    return y;
  }

 private:
  friend void attach(Module& root, const Context& context);
  friend void detach(Module& root);
  static const Context detached;
  const Context* context_ = &detached;
  std::string path_;
};

/// Gives every module its path and the context, which has to outlive the model's use.
void attach(Module& root, const Context& context);
/// Takes the context away again: evaluation mode, no observer.
void detach(Module& root);

template <class T>
struct Named {
  std::string name;  ///< "layer1.0.conv1.weight"
  T* value;
};
/// All of a module and everything below it, in the order of visit(), which is the order of use.
std::vector<Named<Parameter>> parameters(Module& root);
std::vector<Named<Buffer>> buffers(Module& root);
int64_t count_parameters(Module& root);
/// The memory in which forward passes see the parameters, each block once: for ConstantWeights
/// (lib/tensor/constant_weights.h).
std::vector<Storage> memory_of_weights(Module& root);

/// Fills parameters by their Init (each from seed and path alone) and buffers with their initial value.
void initialize(Module& root, uint64_t seed);

/// Moves parameters and floating-point buffers to a device; before mixed precision is set up
/// (lib/nn/precision.h) and before optim::Parameters takes the parameters over.
void move_to(Module& root, Device);

}  // namespace trainer::nn
