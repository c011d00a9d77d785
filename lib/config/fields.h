// Fields: how a component declares the configuration keys that it reads, and gets their values.
//
//   struct SgdConfig {
//     double momentum = 0.9;
//     bool nesterov = true;
//     void fields(config::Fields& f) {
//       f("MOMENTUM", momentum, "momentum factor", {.min = 0, .max = 1});
//       f("NESTEROV", nesterov, "Nesterov momentum, as in Swin and timm");
//     }
//   };
//
//   declare<SgdConfig>("TRAIN.OPTIMIZER", {});                           // once, at start
//   auto sgd = bind<SgdConfig>(config.group("TRAIN.OPTIMIZER"));         // after merging
//
// fields() serves both. declare(): each call adds a key to the static tree, with the member's value as
// default. (Two components may declare one key if type and default agree; their help texts are joined.)
// bind(): each call reads the merged value into the member, checks range and choice, and marks the key as
// read. Constructors take the struct, never a Node.
#pragma once

#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "lib/config/declare.h"
#include "lib/config/node.h"
#include "lib/config/problems.h"

namespace trainer::config {

class Fields {
 public:
  virtual ~Fields() = default;

  /// A key. T is bool, int, int64_t, double, std::string, a std::vector of one of them, or a std::optional of
  /// any of these, for which None (nullopt) is a value. `range` holds for numbers and for each element of a
  /// list of numbers. `key` may be dotted.
  template <class T>
  void operator()(std::string_view key, T& member, std::string_view help, const Range& range = {}) {
    assign(member, field(declaration_of(key, member, help, range)));
  }

  /// The same, and the file with the user's own defaults may set it (Sources::user_file). For paths and logging: no
  /// result may depend on it.
  template <class T>
  void user_default(std::string_view key, T& member, std::string_view help, const Range& range = {}) {
    Declaration declaration = declaration_of(key, member, help, range);
    declaration.user_default = true;
    assign(member, field(std::move(declaration)));
  }

  /// A string out of `choices`, or an optional one.
  template <class T>
  void choice(std::string_view key, T& member, std::span<const std::string_view> choices,
              std::string_view help) {
    Declaration declaration{std::string(key), type_of<T>(), Value(member), std::string(help)};
    static_assert(type_of<T>().kind == Kind::string);
    declaration.choices.assign(choices.begin(), choices.end());
    assign(member, field(std::move(declaration)));
  }
  template <class T>
  void choice(std::string_view key, T& member, std::initializer_list<std::string_view> choices,
              std::string_view help) {
    choice(key, member, std::span(choices.begin(), choices.size()), help);
  }

  /// A number or the word "auto", which is nullopt (THREADS, MODEL.IN_CHANS).
  void auto_or(std::string_view key, std::optional<int64_t>& member, std::string_view help,
               const Range& range = {});

  /// A key whose feature is not implemented: files may set it, but binding refuses any other value than the
  /// default.
  void unsupported(std::string_view key, const Value& default_value, std::string_view help);

  /// A nested group: f.group("LR_SCHEDULER", schedule) calls schedule.fields() on it.
  template <class T>
  void group(std::string_view key, T& member) {
    const std::string outer = std::exchange(group_, join_key(group_, key));
    member.fields(*this);
    group_ = outer;
  }

 protected:
  /// Handles one key below group(). Returns the value for the member, or nullptr to leave the member
  /// unchanged.
  virtual const Value* field(Declaration) = 0;
  /// The dotted path of the nested group(), relative to the group that the struct is bound from.
  const std::string& group() const { return group_; }

 private:
  template <class T>
  static constexpr bool holds_int32 =
      std::is_same_v<T, int> || std::is_same_v<T, std::optional<int>> ||
      std::is_same_v<T, std::vector<int>> || std::is_same_v<T, std::optional<std::vector<int>>>;
  template <class T>
  static Declaration declaration_of(std::string_view key, const T& member, std::string_view help,
                                    const Range& range) {
    Declaration declaration{std::string(key), type_of<T>(), Value(member), std::string(help), range};
    declaration.int32 = holds_int32<T>;
    return declaration;
  }
  template <class T>
  static void assign(T& member, const Value* value) {
    if (!value) return;
    if (auto typed = convert<T>(*value)) member = std::move(*typed);
  }

  std::string group_;
};

namespace detail {

/// What is wrong with a value for a key, as "expected X, given Y"; "" if nothing is.
std::string value_problem(const Value&, const Declaration&);

/// Adds every field to the static tree, below `group`.
class Declarer : public Fields {
 public:
  explicit Declarer(std::string_view group) : root_(group) {}

 protected:
  const Value* field(Declaration) override;

 private:
  std::string root_;
};

/// Reads every field from the tree, and collects what is wrong with the values.
class Binder : public Fields {
 public:
  explicit Binder(const Node& group) : root_(group) {}
  /// Throws one Error(Exit::usage) with all problems, if there are any.
  void finish() const { problems_.raise(); }

 protected:
  const Value* field(Declaration) override;

 private:
  const Node& root_;
  Problems problems_;
};

}  // namespace detail

/// Adds the keys of a T, with the values of `defaults`, to the static tree below `group` ("" is the root).
template <class T>
void declare(std::string_view group, T defaults) {
  detail::Declarer declarer(group);
  defaults.fields(declarer);
}

/// The keys of a T, relative to the group that it is bound from.
template <class T>
std::vector<std::string> keys_of(T component) {
  class List final : public Fields {
   public:
    std::vector<std::string> keys;

   protected:
    const Value* field(Declaration d) override {
      keys.push_back(join_key(group(), d.key));
      return nullptr;
    }
  } list;
  component.fields(list);
  return list.keys;
}

/// A T with the merged values of its keys below `group`, checked. Members without a key are those of `into`.
/// Throws one Error(Exit::usage) that names each bad value with its key, where it was set, and what was
/// expected.
template <class T>
T bind(const Node& group, T into = {}) {
  detail::Binder binder(group);
  into.fields(binder);
  binder.finish();
  return into;
}

}  // namespace trainer::config
