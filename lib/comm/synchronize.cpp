#include "lib/comm/synchronize.h"

#include <algorithm>

namespace trainer::comm {
namespace {

/// A line for each tensor, with its name, dtype and shape.
std::string describe_all(std::span<const NamedTensor> tensors) {
  std::string text;
  for (const auto& [name, t] : tensors) {
    text += fmt::format("{} {} {}\n", name, name_of(t->dtype()), t->shape());
  }
  return text;
}

/// The first line that differs; "nothing" for the text that has no more lines.
std::pair<std::string, std::string> first_difference(std::string_view a, std::string_view b) {
  const auto take_line = [](std::string_view& rest) {
    if (rest.empty()) return std::string_view("nothing");
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(line.size() + 1);
    return line;
  };
  while (true) {
    const std::string_view x = take_line(a), y = take_line(b);
    if (x != y) return {std::string(x), std::string(y)};
  }
}

/// Copies the tensors' bytes from `begin` on, as if they lay one after the other, to or from `window` (u8 on
/// the host); the tensors may be anywhere.
void copy_window(std::span<const NamedTensor> tensors, int64_t begin, Tensor& window, bool to_window) {
  int64_t position = 0;  // of the tensor
  for (const auto& [name, t] : tensors) {
    const auto bytes = static_cast<int64_t>(t->bytes());
    const int64_t from = std::max(begin, position), to = std::min(begin + window.numel(), position + bytes);
    if (from < to) {
      Tensor there = window.slice(from - begin, to - begin);
      Tensor here = Tensor::over(t->storage(), t->offset() + static_cast<size_t>(from - position),
                                 {to - from}, DType::u8);
      (to_window ? there : here).copy_from(to_window ? here : there);
    }
    position += bytes;
  }
}

/// Few large messages instead of one for each tensor.
void broadcast_packed(Comm& comm, std::span<const NamedTensor> tensors, std::string_view what) {
  constexpr int64_t largest = int64_t{16} << 20;
  int64_t total = 0;
  for (const auto& [name, t] : tensors) total += static_cast<int64_t>(t->bytes());
  Tensor window = Tensor::empty({std::min(largest, total)}, DType::u8);
  for (int64_t begin = 0; begin < total; begin += largest) {
    Tensor part = window.slice(0, std::min(largest, total - begin));
    if (comm.rank() == 0) copy_window(tensors, begin, part, true);
    comm.broadcast(part, 0, what);
    if (comm.rank() != 0) copy_window(tensors, begin, part, false);
  }
}

}  // namespace

void broadcast_from_rank0(Comm& comm, std::span<const NamedTensor> tensors, std::string_view what) {
  if (comm.size() == 1) return;
  const std::vector<std::string> all =
      comm.all_gather(describe_all(tensors), fmt::format("names of {}", what));
  for (size_t r = 1; r < all.size(); ++r) {
    if (all[r] == all[0]) continue;
    const auto [first, other] = first_difference(all[0], all[r]);
    fail(Exit::distributed, "the {} of the ranks differ: rank 0 has {}, rank {} has {}", what, first, r,
         other);
  }
  broadcast_packed(comm, tensors, what);
}

}  // namespace trainer::comm
