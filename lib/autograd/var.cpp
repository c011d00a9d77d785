#include "lib/autograd/var.h"

#include <algorithm>
#include <array>
#include <vector>

#include "lib/ops/elementwise.h"

namespace trainer {
namespace {

thread_local bool recording = true;
std::atomic<uint64_t> next_id{1};
std::atomic<uint64_t> next_pass{1};

/// Free lists of node memory, by size in units of 64 bytes. Per thread, so they need no lock.
class NodeMemory {
 public:
  ~NodeMemory() {
    ended = true;
    for (auto& list : free_) {
      for (void* p : list) ::operator delete(p);
    }
  }

  static void* take(size_t bytes) {
    const size_t units = (bytes + unit - 1) / unit;
    if (!ended) {
      auto& list = mine().free_.at(units);
      if (!list.empty()) {
        void* p = list.back();
        list.pop_back();
        return p;
      }
    }
    return ::operator new(units* unit);
  }
  static void give_back(void* p, size_t bytes) {
    if (ended) return ::operator delete(p);
    mine().free_[(bytes + unit - 1) / unit].push_back(p);
  }

 private:
  static constexpr size_t unit = 64, classes = 64;
  /// This thread's lists are gone: a Var with static lifetime may still release its node.
  static thread_local bool ended;

  static NodeMemory& mine() {
    thread_local NodeMemory lists;
    return lists;
  }

  std::array<std::vector<void*>, classes> free_;
};
thread_local bool NodeMemory::ended = false;

}  // namespace

bool grad_enabled() { return recording; }
NoGrad::NoGrad() : before_(std::exchange(recording, false)) {}
NoGrad::~NoGrad() { recording = before_; }

// ---- NodePtr, Node

NodePtr::NodePtr(const NodePtr& o) : node_(o.node_) {
  if (node_ != nullptr) node_->references_.fetch_add(1, std::memory_order_relaxed);
}
NodePtr::~NodePtr() {
  if (node_ != nullptr && node_->references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete node_;
}

Node::Node(const Tensor& output, std::initializer_list<const Var*> inputs)
    : id_(next_id.fetch_add(1, std::memory_order_relaxed)),
      shape_(output.shape()),
      dtype_(output.dtype()),
      device_(output.device()) {
  check(inputs.size() <= max_inputs, "record: an op has at most {} differentiable inputs", int{max_inputs});
  for (const Var* v : inputs) input_[inputs_++] = v->node();
}

void* Node::operator new(size_t bytes) { return NodeMemory::take(bytes); }
void Node::operator delete(void* p, size_t bytes) { NodeMemory::give_back(p, bytes); }

void Node::run(Grads&) {}

/// Memory for a gradient, uninitialised.
Tensor Node::destination() {
  if (leaf_ && fresh_ && gradient_.defined()) return gradient_;
  return Tensor::empty(shape_, dtype_, device_);
}

/// Adds a gradient to the sum; the first is moved. Shared memory is never written.
void Node::receive(Tensor gradient) {
  if (gradient.shape() != shape_ || gradient.dtype() != dtype_)
      [[unlikely]] {  // the text costs an allocation
    fail(Exit::internal, "backward: the gradient of a value {} {} is {}", name_of(dtype_), shape_,
         describe(gradient));
  }
  const bool first = leaf_ ? std::exchange(fresh_, false) : !gradient_.defined();
  if (first) {
    if (leaf_ && gradient_.defined()) {  // a leaf keeps its memory
      if (gradient.raw() != gradient_.raw()) gradient_.copy_from(gradient);
    } else if (leaf_ && !gradient.storage().unique()) {
      gradient_ = gradient.clone();
    } else {
      gradient_ = std::move(gradient);
    }
  } else if (leaf_ || gradient_.storage().unique()) {
    ops::add_into(gradient_, gradient);
  } else if (gradient.storage().unique()) {
    ops::add_into(gradient, gradient_);
    gradient_ = std::move(gradient);
  } else {
    gradient_ = ops::add(gradient_, gradient);
  }
}

// ---- Grads

Tensor& Grads::operator[](int input) {
  Tensor& slot = slot_[input];
  if (!slot.defined() && wants(input)) slot = node_.input_[input]->destination();
  return slot;
}

Tensor& Grads::or_scratch(int input, const Tensor& like) {
  Tensor& slot = (*this)[input];
  if (!slot.defined()) slot = Tensor::empty_like(like);
  return slot;
}

Tensor Grads::take(int input) {
  if (!wants(input) || node_.input_[input]->leaf_) return {};
  return std::exchange(node_.input_[input]->gradient_, Tensor());
}

void Grads::pass(int input, Tensor gradient) {
  if (wants(input)) slot_[input] = std::move(gradient);
}

void Grads::deliver(GradientListener* listener) {
  dy_ = Tensor();
  for (int i = 0; i < node_.inputs_; ++i) {
    if (!wants(i)) continue;
    check(slot_[i].defined(), "backward: an op did not write the gradient of its input {}", i);
    Node& input = *node_.input_[i].get();
    input.receive(std::move(slot_[i]));
    if (!input.leaf_ || --input.pending_ > 0) continue;
    if (listener != nullptr && input.tag_ >= 0) listener->ready(input.tag_);
  }
}

// ---- Var

Var::Var(Tensor value, bool requires_grad) : value_(std::move(value)) {
  if (!requires_grad) return;
  check(is_floating(value_.dtype()), "requires_grad needs a floating dtype, not {}", name_of(value_.dtype()));
  node_ = NodePtr(new Node(value_, {}));
  node_->leaf_ = true;
}

Tensor Var::grad() const {
  check(node_ && node_->leaf_, "grad(): only a leaf that requires a gradient has one");
  return node_->fresh_ ? Tensor() : node_->gradient_;
}

void Var::zero_grad() const {
  if (node_ && node_->leaf_) node_->fresh_ = true;
}

void Var::rebase(Tensor value, Tensor gradient, int64_t tag) {
  check(!node_ || node_->leaf_, "rebase: the memory of a leaf can be replaced, not that of an op's output");
  value_ = std::move(value);
  if (!node_) return;
  node_->device_ = value_.device();
  node_->dtype_ = gradient.defined() ? gradient.dtype() : value_.dtype();
  node_->gradient_ = std::move(gradient);
  node_->fresh_ = true;
  node_->tag_ = tag;
}

/// One backward pass: the ops that the root depends on, in reverse order of recording.
struct Node::BackwardPass {
  static thread_local std::vector<Node*> order, stack;  // members, so that a repeated pass allocates nothing
  static thread_local std::vector<NodePtr> released;

  static void collect(Node* root) {
    const uint64_t pass = next_pass.fetch_add(1, std::memory_order_relaxed);
    order.clear();
    stack.clear();
    stack.push_back(root);
    root->pass_ = pass;
    while (!stack.empty()) {
      Node* node = stack.back();
      stack.pop_back();
      if (node->leaf_) continue;  // the root itself
      check(!node->done_,
            "backward was called on this graph before and has freed its saved tensors; run forward again");
      order.push_back(node);
      for (int i = 0; i < node->inputs_; ++i) {
        Node* input = node->input_[i].get();
        if (input == nullptr) continue;
        const bool seen = std::exchange(input->pass_, pass) == pass;
        if (input->leaf_) {
          input->pending_ = seen ? input->pending_ + 1 : 1;
        } else if (!seen) {
          stack.push_back(input);
        }
      }
    }
    std::sort(order.begin(), order.end(), [](const Node* a, const Node* b) { return a->id_ > b->id_; });
  }

  static void run(GradientListener* listener) {
    for (Node* node : order) {
      Grads grads(*node, std::move(node->gradient_));
      node->gradient_ = Tensor();
      node->run(grads);
      node->done_ = true;
      grads.deliver(listener);
    }
    // Edges are removed only now, all at once: nodes own their inputs, and destroying a deep graph must not
    // recurse.
    for (Node* node : order) {
      for (int i = 0; i < node->inputs_; ++i) released.push_back(std::move(node->input_[i]));
    }
    released.clear();
  }
};
thread_local std::vector<Node*> Node::BackwardPass::order, Node::BackwardPass::stack;
thread_local std::vector<NodePtr> Node::BackwardPass::released;

void Var::backward(const Tensor& gradient, GradientListener* listener) const {
  check(static_cast<bool>(node_), "backward: this value depends on no leaf that requires a gradient");
  check(value_.numel() == 1, "backward starts from a value of one element, not from {}", shape());
  const NoGrad no_grad;
  Node::BackwardPass::collect(node_.get());
  node_->receive(gradient.defined() ? gradient.view(shape())
                                    : Tensor::full(shape(), 1, value_.dtype(), value_.device()));
  Node::BackwardPass::run(listener);
}

}  // namespace trainer
