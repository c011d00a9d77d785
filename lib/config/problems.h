// Problems: collects what is wrong with a configuration, so that the user sees all of it at once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace trainer::config {

class Problems {
 public:
  /// One line: "exp.yaml:12:3: TRAIN.EPOCHS: expected int, given 'many' (str)"; `where` and `key` may be
  /// empty.
  void add(std::string_view where, std::string_view key, std::string_view what);
  size_t count() const { return lines_.size() + more_; }
  /// Further problems are only counted. (Looking for near names for each would take long.)
  bool is_full() const { return lines_.size() == most_lines; }
  /// Throws one Error(Exit::usage) with a line for each problem, if there are any.
  void raise() const;

 private:
  static constexpr size_t most_lines = 50;
  std::vector<std::string> lines_;
  size_t more_ = 0;
};

}  // namespace trainer::config
