// Var: a Tensor with a place on the tape. Reverse-mode differentiation over the ops of lib/ops.
//
//   Var w(weight, true);                                   // a leaf: its gradient is kept
//   Var loss = autograd::softmax_cross_entropy(autograd::linear(x, w, b), target);
//   loss.backward();
//   w.grad();
//
// Backward closures capture Tensors, never Vars, so cycles cannot form; each is destroyed as soon as it has
// run, which gives its saved tensors back to the pool. Nodes come from free lists: a repeated step allocates
// nothing.
#pragma once

#include <atomic>
#include <initializer_list>
#include <new>
#include <utility>

#include "lib/tensor/tensor.h"

namespace trainer {

class Grads;
class Node;

/// Told during backward() when a leaf's gradient is complete: what sums gradients over processes begins with
/// it while the rest is still being computed.
class GradientListener {
 public:
  virtual ~GradientListener() = default;
  /// `tag` is the leaf's (Var::rebase). Once for each leaf that receives a gradient in this backward().
  virtual void ready(int64_t tag) = 0;
};

/// Owner of a tape node (an intrusive reference count).
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
  /// A leaf. With requires_grad its gradient is computed by backward() and kept until zero_grad().
  explicit Var(Tensor value, bool requires_grad = false);
  /// The output of an op: used by record().
  Var(Tensor value, NodePtr node) : value_(std::move(value)), node_(std::move(node)) {}

  const Tensor& value() const { return value_; }
  const Shape& shape() const { return value_.shape(); }
  bool defined() const { return value_.defined(); }
  bool requires_grad() const { return static_cast<bool>(node_); }
  const NodePtr& node() const { return node_; }

  /// A leaf's gradient; undefined before the first backward() after zero_grad().
  Tensor grad() const;
  /// Forgets a leaf's gradient. Its memory is kept: the next backward() overwrites it, so nothing is ever
  /// filled with zeros.
  void zero_grad() const;
  /// Moves a leaf onto other memory (an arena): value's elements are not copied; gradients will be written
  /// into `gradient`, which may be wider than the value (f32 for 16 bits). `tag` names it to a
  /// GradientListener; -1: it is not announced.
  void rebase(Tensor value, Tensor gradient, int64_t tag = -1);

  /// Differentiates this scalar with respect to every leaf it depends on. `seed` (rank 0) is the gradient of
  /// the objective with respect to it; 1 if not given. A graph can be walked once. Throws if an op on the way
  /// has no backward.
  void backward(const Tensor& seed = {}, GradientListener* listener = nullptr) const;

 private:
  Tensor value_;
  NodePtr node_;
};

/// While one lives, ops on this thread record nothing.
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

/// One recorded op, or a leaf.
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
  struct Sweep;
  void receive(Tensor gradient);
  Tensor destination();

  std::atomic<int> references_{1};
  uint64_t id_;         // creation order: descending ids are a reverse topological order
  uint64_t sweep_ = 0;  // the backward pass that has met this node
  bool leaf_ = false;
  bool fresh_ = true;  // leaf: the next write overwrites
  bool done_ = false;  // an op whose backward function has run
  int pending_ = 0;    // leaf: gradients that this backward pass has still to bring
  int inputs_ = 0;
  int64_t tag_ = -1;           // leaf: its name to a GradientListener
  NodePtr input_[max_inputs];  // null where no gradient is needed
  Shape shape_;                // of the output
  DType dtype_;
  Device device_;
  Tensor gradient_;  // op: what has arrived so far; leaf: where it is kept
};

/// What a backward function sees: the gradient of its output, and where to write those of its inputs.
class Grads {
 public:
  const Tensor& dy() const { return dy_; }
  /// No one else holds dy(): it may be overwritten.
  bool dy_is_unique() const { return dy_.storage().unique(); }
  bool wants(int input) const { return static_cast<bool>(node_.input_[input]); }
  /// Where the gradient of an input goes: a tensor of the input's shape, to be written whole (for a
  /// parameter's first gradient of a step this is the gradient arena itself). Undefined if nobody wants it.
  Tensor& operator[](int input);
  /// The same, but always memory, like that tensor's: for what a kernel computes whether or not it is wanted.
  Tensor& or_scratch(int input, const Tensor& like);
  /// Takes out what has arrived so far of the gradient of an input that is another op's output, so that the
  /// kernel can add it to what it writes, or write over it if nobody else holds it. Undefined if there is
  /// none.
  Tensor take(int input);
  /// Hands over a tensor that already is the gradient of an input; it may be shared.
  void pass(int input, Tensor gradient);

 private:
  friend class Node;
  friend struct Node::Sweep;
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

/// Puts an op on the tape: `backward` is called with Grads when gradients flow back through `output`. Nothing
/// is recorded if no input needs a gradient or NoGrad is in force.
template <class F>
Var record(Tensor output, std::initializer_list<const Var*> inputs, F backward) {
  bool needed = false;
  if (grad_enabled()) {
    for (const Var* v : inputs) needed = needed || v->requires_grad();
  }
  if (!needed) return Var(std::move(output));
  NodePtr node(new detail::Recorded<F>(output, inputs, std::move(backward)));
  return Var(std::move(output), std::move(node));
}

}  // namespace trainer
