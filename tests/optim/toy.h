// A model of bare parameters whose gradients the tests choose.
#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "lib/nn/module.h"

namespace trainer::optim::test {

inline std::vector<float> numbers(const Tensor& t) {
  const Tensor host = t.to(Device{Device::Kind::ref});
  return {host.span<float>().begin(), host.span<float>().end()};
}

/// Elements first, first + 1, ...
inline Tensor ramp(const Shape& shape, float first) {
  Tensor t = Tensor::empty(shape);
  for (float& x : t.span<float>()) x = first++;
  return t;
}

class Toy final : public nn::Module {
 public:
  struct Item {
    std::string name;
    nn::Parameter* parameter;
  };

  /// A parameter of that shape with elements first, first + 1, ...
  nn::Parameter& add(const std::string& name, const Shape& shape, float first = 1) {
    owned_.push_back(std::make_unique<nn::Parameter>(shape, nn::Init::zeros()));
    Tensor value = owned_.back()->var.value();
    value.copy_from(ramp(shape, first));
    return tie(name, *owned_.back());
  }
  nn::Parameter& tie(const std::string& name, nn::Parameter& parameter) {
    items_.push_back({name, &parameter});
    return parameter;
  }

  Var forward(const Var& x) override { return x; }
  void visit(nn::Visitor& v) override {
    for (const Item& item : items_) v(item.name, *item.parameter);
  }

 private:
  std::vector<std::unique_ptr<nn::Parameter>> owned_;
  std::vector<Item> items_;
};

/// A backward pass that gives `parameter` this gradient.
inline void send(const nn::Parameter& parameter, const Tensor& gradient) {
  const Tensor there = gradient.to(parameter.var.value().device());
  record(Tensor::zeros({}, gradient.dtype(), there.device()), {&parameter.var}, [there](Grads& g) {
    g[0].copy_from(there);
  }).backward();
}

}  // namespace trainer::optim::test
