// Var: a Tensor with its place in the graph of ops that computed it. Reverse-mode automatic differentiation
// over the ops of lib/ops; the differentiable versions of these are in lib/autograd/<family>.h.
//
//   Var w(weight, true);                                   // a leaf: its gradient is kept
//   Var loss = autograd::softmax_cross_entropy(autograd::linear(x, w, b), target);
//   loss.backward();
//   w.grad();                                              // a Tensor like weight
//
// A new differentiable op calls record() with its output, its inputs and its backward function. That captures
// Tensors, never Vars, so cycles cannot form. It is destroyed once it has run, which returns its saved
// tensors to the pool. Nodes come from free lists: a repeated step allocates nothing.
//
// Recording and NoGrad are per thread. One graph belongs to one thread at a time. Misuse is
// Error(Exit::internal).
#pragma once

#include <atomic>
#include <initializer_list>
#include <new>
#include <utility>

#include "lib/tensor/tensor.h"

namespace trainer {

class Grads;
class Node;

/// Called during backward() when a leaf's gradient is complete, so that it can be summed over processes while
/// the rest is still being computed.
class GradientListener {
 public:
  virtual ~GradientListener() = default;
  /// Once for each leaf that gets a gradient in this backward() and has a tag (Var::rebase).
  virtual void ready(int64_t tag) = 0;
};

/// A shared owner of a graph node (an intrusive reference count).
class NodePtr {
 public:
  NodePtr() = default;
  explicit NodePtr(Node* fresh) : node_(fresh) {}
  NodePtr(const NodePtr&);
  NodePtr(NodePtr&& o) noexcept : node_(std::exchange(o.node_, nullptr)) {}
  NodePtr& operator=(NodePtr o) noexcept {
    std::swap(node_, o.node_);
    return *this;
  }
  ~NodePtr();
  Node* get() const { return node_; }
  Node* operator->() const { return node_; }
  explicit operator bool() const { return node_ != nullptr; }

 private:
  Node* node_ = nullptr;
};

class Var {
 public:
  Var() = default;
  /// A leaf. With requires_grad, which needs a floating dtype, backward() computes its gradient and adds it
  /// to what is there since zero_grad().
  explicit Var(Tensor value, bool requires_grad = false);
  /// The output of an op: for record().
  Var(Tensor value, NodePtr node) : value_(std::move(value)), node_(std::move(node)) {}

  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  bool defined() const { return value_.defined(); }
  bool requires_grad() const { return static_cast<bool>(node_); }
  const NodePtr& node() const { return node_; }

  /// A leaf's gradient; undefined before the first backward() since zero_grad(). Throws if this is no leaf
  /// that requires a gradient.
  Tensor grad() const;
  /// Drops a leaf's gradient. Its memory is kept, and the next backward() overwrites it: nothing is filled
  /// with zeros.
  void zero_grad() const;
  /// Replaces the memory of a leaf, by parts of arenas: its value by `value` (elements are not copied), its
  /// gradient by `gradient`, which may have a wider dtype (f32 for 16 bits). `tag` names the leaf to a
  /// GradientListener; -1: the listener is not called for it.
  void rebase(Tensor value, Tensor gradient, int64_t tag = -1);

  /// Computes the gradient of this one-element value with respect to every leaf it depends on. `gradient`,
  /// one element, is the gradient of the objective with respect to this value; 1 if undefined. Works once per
  /// graph: saved tensors are freed on the way.
  void backward(const Tensor& gradient = {}, GradientListener* listener = nullptr) const;

 private:
  Tensor value_;
  NodePtr node_;
};

/// While an object of this class lives, ops on this thread record nothing (torch.no_grad).
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};
bool grad_enabled();

/// A node of the graph: a recorded op, or a leaf.
class Node {
 public:
  static constexpr int max_inputs = 4;

  Node(const Tensor& output, std::initializer_list<const Var*> inputs);
  virtual ~Node() = default;
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;
  static void* operator new(size_t bytes);
  static void operator delete(void* p, size_t bytes);

 protected:
  /// Runs the backward function and destroys it.
  virtual void run(Grads&);

 private:
  friend class NodePtr;
  friend class Grads;
  friend class Var;
  struct BackwardPass;
  void receive(Tensor gradient);
  Tensor destination();

  std::atomic<int> references_{1};
  uint64_t id_;        // creation order: descending ids are a reverse topological order
  uint64_t pass_ = 0;  // the last backward pass that reached this node
  bool leaf_ = false;
  bool fresh_ = true;  // leaf: the next gradient overwrites
  bool done_ = false;  // op: its backward function has run
  int pending_ = 0;    // leaf: gradients still to come in this backward pass
  int inputs_ = 0;
  int64_t tag_ = -1;           // leaf: for the GradientListener
  NodePtr input_[max_inputs];  // null where no gradient is needed
  Shape shape_;                // of the output
  DType dtype_;
  Device device_;
  Tensor gradient_;  // op: the sum so far; leaf: the gradient's memory
};

/// The argument of a backward function: the gradient of the op's output, and where those of its inputs go.
/// Inputs are numbered as in record(). Each gradient that is wanted must be written or passed.
class Grads {
 public:
  /// The gradient of the output.
  const Tensor& dy() const { return dy_; }
  /// dy() is not shared: it may be overwritten.
  bool dy_is_unique() const { return dy_.storage().unique(); }
  /// The input requires a gradient.
  bool wants(int input) const { return static_cast<bool>(node_.input_[input]); }
  /// Memory for the gradient of an input, like the input, to be written whole. (For the first gradient of a
  /// parameter in a step it is the gradient arena.) Undefined if it is not wanted.
  Tensor& operator[](int input);
  /// The same, but scratch memory like `like` if it is not wanted: for kernels that compute it anyway.
  Tensor& or_scratch(int input, const Tensor& like);
  /// Takes the sum so far of the gradient of an input that is another op's output, so that the kernel can add
  /// it to what it writes, or overwrite it if it is unique. Undefined if there is none yet.
  Tensor take(int input);
  /// Sets the gradient of an input to an existing tensor, which may be shared.
  void pass(int input, Tensor gradient);

 private:
  friend class Node;
  friend struct Node::BackwardPass;
  Grads(Node& node, Tensor dy) : node_(node), dy_(std::move(dy)) {}
  void deliver(GradientListener*);
  Node& node_;
  Tensor dy_;
  Tensor slot_[Node::max_inputs];
};

namespace detail {
template <class F>
class Recorded final : public Node {
 public:
  Recorded(const Tensor& output, std::initializer_list<const Var*> inputs, F&& f)
      : Node(output, inputs), live_(true) {
    new (&function_) F(std::move(f));
  }
  ~Recorded() override { destroy(); }

 protected:
  void run(Grads& g) override {
    function_(g);
    destroy();
  }

 private:
  void destroy() {
    if (std::exchange(live_, false)) function_.~F();
  }
  bool live_;
  union {
    F function_;
  };
};
}  // namespace detail

/// Whether an op of these inputs is recorded: one of them requires a gradient, and this is not under NoGrad.
inline bool recorded(std::initializer_list<const Var*> inputs) {
  bool needed = false;
  for (const Var* v : inputs) needed = needed || v->requires_grad();
  return needed && grad_enabled();
}

/// Records an op: `backward(Grads&)` is called once the gradient of `output` is complete. Undefined Vars are
/// inputs without a gradient. Records nothing unless recorded(inputs).
template <class F>
Var record(Tensor output, std::initializer_list<const Var*> inputs, F backward) {
  if (!recorded(inputs)) return Var(std::move(output));
  NodePtr node(new detail::Recorded<F>(output, inputs, std::move(backward)));
  return Var(std::move(output), std::move(node));
}

}  // namespace trainer
