// Problems: collects what is wrong with a configuration, so that the user sees all of it at once.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/config/origin.h"

namespace trainer::config {

class Problems {
 public:
  /// One line: "exp.yaml:12:3: TRAIN.EPOCHS: expected int, given 'many' (str)"; `key` may be empty.
  void add(const Origin& origin, std::string_view key, std::string_view what) {
    add(origin.layer, origin.str(), key, what);
  }
  /// The same within the layer that was begun last; `where` may be empty.
  void add(std::string_view where, std::string_view key, std::string_view what) {
    add(layer_, where, key, what);
  }
  void begin(Origin::Layer layer) { layer_ = layer; }
  size_t count() const { return lines_.size() + more_; }
  /// Further problems are only counted. (Looking for near names for each would take long.)
  bool is_full() const { return lines_.size() == most_lines; }
  /// Throws one Error(Exit::usage) with a line for each problem, if there are any: by layers, then by files in the
  /// order in which they came up, then by their lines.
  void raise() const;

 private:
  struct Line {
    Origin::Layer layer;
    size_t source;     ///< index of the file
    int line, column;  ///< there; the pair of --opts
    std::string text;
  };
  void add(Origin::Layer, std::string_view where, std::string_view key, std::string_view what);

  static constexpr size_t most_lines = 50;
  Origin::Layer layer_ = Origin::Layer::code;
  std::vector<Line> lines_;
  std::vector<std::string> sources_;
  size_t more_ = 0;
};

}  // namespace trainer::config
