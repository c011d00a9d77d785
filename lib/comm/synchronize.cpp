#include "lib/comm/synchronize.h"

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
  for (const auto& [name, t] : tensors) comm.broadcast(*t, 0, name);
}

}  // namespace trainer::comm
