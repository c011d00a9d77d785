#include "lib/tensor/profile.h"

#include <algorithm>

#include "lib/base/error.h"
#include "lib/base/system.h"

namespace trainer {
namespace {

void wait(Device device) {
  if (!device.is_host()) backend(device.kind).synchronize(device.index);
}

std::string text_of(const Shape& shape) {
  std::string text;
  for (int i = 0; i < shape.rank(); ++i) text += fmt::format("{}{}", i > 0 ? "x" : "", shape[i]);
  return text.empty() ? "1" : text;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

}  // namespace

constinit thread_local Profile* Profile::active_ = nullptr;

void Profile::start() {
  check(active_ == nullptr, "Profile: another one counts on this thread");
  active_ = this;
}

void Profile::stop() {
  if (active_ == this) active_ = nullptr;
}

size_t Profile::entry_of(std::string_view op, std::string shapes, DType dtype) {
  const auto found = std::ranges::find_if(
      entries_, [&](const Entry& e) { return e.op == op && e.dtype == dtype && e.shapes == shapes; });
  if (found != entries_.end()) return static_cast<size_t>(found - entries_.begin());
  entries_.push_back({.op = op, .shapes = std::move(shapes), .dtype = dtype});
  return entries_.size() - 1;
}

Profile::Timing::Timing(Profile& profile, std::string_view op, Device device,
                        std::span<const Tensor* const> tensors, double flops)
    : profile_(profile), device_(device) {
  DType dtype = DType::f64;
  double bytes = 0;
  int rank = 0;
  for (const Tensor* t : tensors) {
    if (t == nullptr || !t->defined()) continue;
    if (dtype == DType::f64) dtype = t->dtype();
    bytes += static_cast<double>(t->bytes());
    rank = std::max(rank, t->rank());
  }
  std::vector<std::string> shapes;
  for (const Tensor* t : tensors) {
    if (t == nullptr || !t->defined() || t->rank() < std::min(rank, 2)) continue;
    std::string text = text_of(t->shape());
    if (shapes.size() < 3 && std::ranges::find(shapes, text) == shapes.end())
      shapes.push_back(std::move(text));
  }
  entry_ = profile.entry_of(op, joined(shapes), dtype);
  Entry& e = profile.entries_[entry_];
  e.calls += 1;
  e.flops += flops;
  e.bytes += bytes;
  active_ = nullptr;  // what the kernel calls is part of it
  wait(device);
  begin_ = now();
}

Profile::Timing::~Timing() {
  wait(device_);
  profile_.entries_[entry_].seconds += now() - begin_;
  active_ = &profile_;
}

}  // namespace trainer
