// Config: the merged tree of all keys. Stage 1 of configuration (merge); binding to structs is stage 2 (lib/config/fields.h).
//
// The tree is static: every key is declared by the component that reads it, with its default. Merging never adds a key (except in
// subtrees declared `new_allowed`) and follows yacs' leaf rules, as a superset: docs/config.md. Each leaf remembers where its value
// came from. A merge is atomic: all of its problems are reported together in one Error(Exit::usage), and then nothing has changed.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace trainer::config {

class Fields;

/// A leaf's value. Lists remember whether they were declared as a tuple (yacs tells them apart; a dump does not).
struct Value {
  struct List;
  using None = std::monostate;
  std::variant<None, bool, int64_t, double, std::string, std::shared_ptr<const List>> data;
};

/// Which layer set a value.
struct Origin {
  enum class Layer : uint8_t { defaults, base_file, file, opts, flag, code } layer = Layer::defaults;
  std::string where;  ///< "configs/a.yaml:12:3", "--opts", "--batch-size"
};

}  // namespace trainer::config
