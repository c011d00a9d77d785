#include "lib/optim/parameters.h"

#include <algorithm>
#include <unordered_map>

#include "lib/base/text.h"
#include "lib/ops/elementwise.h"
#include "lib/tensor/constant_weights.h"

namespace trainer::optim {
namespace {

constexpr int64_t alignment = 64;  // bytes: a cache line, and the widest vector register

bool decays(const std::string& name, const Shape& shape, const GroupRules& rules) {
  if (shape.rank() <= 1 || name == "bias" || name.ends_with(".bias")) return false;
  return std::none_of(rules.no_decay.begin(), rules.no_decay.end(),
                      [&](const std::string& pattern) { return has_components(name, pattern); });
}

/// Every parameter once, in order of use; the position of a tied weight is that of its first use, where
/// backward completes it.
std::vector<Span> collect(nn::Module& model, const GroupRules& rules) {
  std::vector<Span> spans;
  std::unordered_map<const nn::Parameter*, size_t> positions;
  std::unordered_map<const std::byte*, std::string> memory;
  for (const auto& [name, parameter] : nn::parameters(model)) {
    const auto [position, is_new] = positions.try_emplace(parameter, spans.size());
    if (!is_new) {
      spans[position->second].tied.push_back(name);
      continue;
    }
    const Tensor& value = parameter->value();
    check(value.defined() && is_floating(value.dtype()), "parameter {} has no floating-point value", name);
    const DType first = spans.empty() ? value.dtype() : spans.front().parameter->value().dtype();
    check(value.dtype() == first, "parameter {} is {}, those before it are {}", name, name_of(value.dtype()),
          name_of(first));
    if (value.numel() > 0) {
      const auto [other, unshared] = memory.try_emplace(value.raw(), name);
      check(unshared,
            "parameters {} and {} share memory but are two nn::Parameter: tie them by visiting one twice",
            other->second, name);
    }
    Span span{.name = name, .parameter = parameter, .size = value.numel()};
    if (rules.lr_factor) span.lr_factor = rules.lr_factor(name);
    if (decays(name, value.shape(), rules)) span.weight_decay = rules.weight_decay;
    spans.push_back(std::move(span));
  }
  return spans;
}

/// Gives the spans their places, one after the other. Returns the length of the arena.
int64_t lay_out(std::vector<Span>& spans, int64_t unit) {
  int64_t end = 0;
  for (Span& span : spans) {
    span.begin = end;
    end += (span.size + unit - 1) / unit * unit;
  }
  return end;
}

}  // namespace

Parameters::Parameters(nn::Module& model, const GroupRules& rules, std::optional<Device> device,
                       const nn::Precision& precision)
    : precision_(precision) {
  std::vector<Span> spans = collect(model, rules);
  std::reverse(spans.begin(), spans.end());
  const Tensor any = spans.empty() ? Tensor::empty({0}) : spans.front().parameter->value();
  const DType dtype = any.dtype();
  const Device place = device.value_or(any.device());
  for (Span& span : spans) {
    (span.parameter->frozen ? frozen_ : trainable_).push_back(std::move(span));
  }
  check(!precision.mixed() || dtype == DType::f32, "mixed precision trains f32 parameters, these are {}",
        name_of(dtype));
  const auto narrowest = std::min(size_of(dtype), size_of(precision.mixed() ? precision.compute : dtype));
  const int64_t unit = alignment / static_cast<int64_t>(narrowest);
  values_ = Tensor::zeros({lay_out(trainable_, unit)}, dtype, place);
  gradients_ = zeros();
  frozen_values_ = Tensor::zeros({lay_out(frozen_, unit)}, dtype, place);

  if (precision.mixed()) {
    rounded_ = Tensor::zeros(values_.shape(), precision.compute, place);
    frozen_rounded_ = Tensor::zeros(frozen_values_.shape(), precision.compute, place);
  }

  for (size_t i = 0; i < trainable_.size(); ++i) {
    const Span& span = trainable_[i];
    Var& var = span.parameter->var;
    const Tensor seen = move_into(values_, rounded_, span);
    if (!var.requires_grad()) var = Var(seen, true);  // was frozen in earlier arenas
    var.rebase(seen, part(gradients_, span), static_cast<int64_t>(i));
  }
  for (const Span& span : frozen_)
    span.parameter->var = Var(move_into(frozen_values_, frozen_rounded_, span));
  update_all_copies();
  received_.resize(trainable_.size());
  segments_.reserve(trainable_.size());
  tensors_.reserve(trainable_.size());
}

/// A parameter's value goes to its place. Returns what forward passes see of it.
Tensor Parameters::move_into(const Tensor& values, const Tensor& rounded, const Span& span) {
  nn::Parameter& p = *span.parameter;
  Tensor value = part(values, span);
  value.copy_from(p.value());
  p.compute = precision_.mixed() ? precision_.compute : value.dtype();
  const bool copied = precision_.type_of(p) != value.dtype();
  p.master = copied ? value : Tensor();
  return copied ? part(rounded, span) : value;
}

void Parameters::round(Tensor& values, Tensor& rounded) {
  ops::cast_into(values, rounded);
  if (!precision_.keeps_masters()) ops::cast_into(rounded, values);
}

void Parameters::drop_masters() {
  ConstantWeights::changed();
  if (precision_.mixed() && !precision_.keeps_masters()) ops::cast_into(rounded_, values_);
}

void Parameters::update_all_copies() {
  ConstantWeights::changed();
  if (!precision_.mixed()) return;
  round(values_, rounded_);
  round(frozen_values_, frozen_rounded_);
}

int64_t Parameters::count(const std::vector<Span>& spans) {
  int64_t n = 0;
  for (const Span& span : spans) n += span.size;
  return n;
}

Tensor Parameters::zeros() const { return Tensor::zeros(values_.shape(), values_.dtype(), values_.device()); }

Tensor Parameters::part(const Tensor& arena, const Span& span) {
  const size_t offset = arena.offset() + static_cast<size_t>(span.begin) * size_of(arena.dtype());
  return Tensor::over(arena.storage(), offset, span.parameter->var.shape(), arena.dtype());
}

void Parameters::zero_grad() {
  by_any_rank_.clear();
  for (const Span& span : trainable_) span.parameter->var.zero_grad();
}

bool Parameters::receives(size_t i) const {
  if (!by_any_rank_.empty()) return by_any_rank_[i] != 0;
  return trainable_[i].parameter->var.grad().defined();
}

void Parameters::set_received(const std::vector<char>& by_any_rank) {
  check(by_any_rank.size() == trainable_.size(), "set_received: {} entries for {} parameters",
        by_any_rank.size(), trainable_.size());
  by_any_rank_ = by_any_rank;
}

const std::vector<ops::Segment>& Parameters::segments() {
  refresh();
  return segments_;
}

const std::vector<ops::Segment>& Parameters::tensors() {
  refresh();
  return tensors_;
}

void Parameters::refresh() {
  bool changed = false;
  for (size_t i = 0; i < trainable_.size(); ++i) {
    const bool receives = this->receives(i);
    if (receives == static_cast<bool>(received_[i])) continue;
    changed = true;
    received_[i] = receives;
    if (!receives) part(gradients_, trainable_[i]).zero();  // nobody writes there until it receives one again
  }
  if (changed) merge();
}

void Parameters::merge() {
  segments_.clear();
  tensors_.clear();
  bool adjacent = false;  // the parameter before is the end of the last segment
  for (size_t i = 0; i < trainable_.size(); ++i) {
    const Span& span = trainable_[i];
    const bool joins = adjacent && segments_.back().lr_factor == span.lr_factor &&
                       segments_.back().weight_decay == span.weight_decay;
    adjacent = received_[i];
    if (!adjacent) continue;
    tensors_.push_back({span.begin, span.begin + span.size, span.lr_factor, span.weight_decay});
    if (!joins) segments_.push_back(tensors_.back());
    segments_.back().end = tensors_.back().end;
  }
}

std::vector<std::string> Parameters::without_gradient() const {
  std::vector<std::string> names;
  for (size_t i = 0; i < trainable_.size(); ++i) {
    if (!receives(i)) names.push_back(trainable_[i].name);
  }
  return names;
}

}  // namespace trainer::optim
