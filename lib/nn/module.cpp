#include "lib/nn/module.h"

#include <algorithm>

namespace trainer::nn {

const Context Module::detached;

void Visitor::operator()(std::string_view name, Module& m) {
  const std::string outer = std::exchange(path_, join(name));
  module(path_, m);
  m.visit(*this);
  path_ = outer;
}

void walk(Module& root, Visitor& visitor) {
  visitor.module("", root);
  root.visit(visitor);
}

void attach(Module& root, const Context& context) {
  struct Attach final : Visitor {
    explicit Attach(const Context& c) : context(&c) {}
    void module(const std::string& path, Module& m) override {
      m.path_ = path;
      m.context_ = context;
    }
    const Context* context;
  } visitor(context);
  walk(root, visitor);
}

void detach(Module& root) { attach(root, Module::detached); }

std::vector<Named<Parameter>> parameters(Module& root) {
  struct Collect final : Visitor {
    void parameter(const std::string& path, Parameter& p) override { all.push_back({path, &p}); }
    std::vector<Named<Parameter>> all;
  } visitor;
  walk(root, visitor);
  return std::move(visitor.all);
}

std::vector<Named<Buffer>> buffers(Module& root) {
  struct Collect final : Visitor {
    void buffer(const std::string& path, Buffer& b) override { all.push_back({path, &b}); }
    std::vector<Named<Buffer>> all;
  } visitor;
  walk(root, visitor);
  return std::move(visitor.all);
}

int64_t count_parameters(Module& root) {
  int64_t n = 0;
  for (const auto& p : parameters(root)) n += p.value->value().numel();
  return n;
}

std::vector<Storage> memory_of_weights(Module& root) {
  std::vector<Storage> blocks;
  for (const auto& [name, p] : parameters(root)) {
    const Storage& block = p->var.value().storage();
    if (std::ranges::none_of(blocks, [&](const Storage& b) { return b.same(block); }))
      blocks.push_back(block);
  }
  return blocks;
}

void initialize(Module& root, uint64_t seed) {
  const Rng rng = Rng(seed).fork("init");
  for (auto& [name, p] : parameters(root)) {
    const Tensor& value = p->value();
    Tensor host = Tensor::empty(value.shape(), value.dtype());
    fill(host, p->init, rng.fork(name));
    Tensor there = value;  // shares the parameter's memory
    there.copy_from(host.to(value.device()));
  }
  for (auto& [name, b] : buffers(root)) {
    b->value.copy_from(Tensor::full(b->value.shape(), b->initial, b->value.dtype(), b->value.device()));
  }
}

void move_to(Module& root, Device device) {
  for (auto& [name, p] : parameters(root)) {
    check(!p->master.defined(), "move_to: parameter {} has a 16-bit copy already; move the model before that",
          name);
    p->var.rebase(p->value().to(device), {});
  }
  for (auto& [name, b] : buffers(root)) {
    if (is_floating(b->value.dtype()))
      b->value = b->value.to(device);  // counters stay with the host that counts
  }
}

}  // namespace trainer::nn
