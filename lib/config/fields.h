// Fields: how a component says what it reads from the configuration.
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
// The same function serves twice. To declare: each call adds a key to the static tree, with the member's value as the default
// (two components may declare one key if type and default agree). To bind: each call reads the merged value into the member, checks
// range and choice, and marks the key as read. A constructor takes the struct, never a Node.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trainer::config {

/// What a value must satisfy when it is bound.
struct Range {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool min_open = false;  ///< the value must be greater than min
  std::string_view unit = {};
};

class Fields {
 public:
  virtual ~Fields() = default;

  void operator()(std::string_view key, bool& member, std::string_view help);
  void operator()(std::string_view key, int& member, std::string_view help, Range = {});
  void operator()(std::string_view key, int64_t& member, std::string_view help, Range = {});
  void operator()(std::string_view key, double& member, std::string_view help, Range = {});
  void operator()(std::string_view key, std::string& member, std::string_view help);
  void operator()(std::string_view key, std::vector<int64_t>& member, std::string_view help, Range = {});
  void operator()(std::string_view key, std::vector<double>& member, std::string_view help, Range = {});
  void operator()(std::string_view key, std::vector<std::string>& member, std::string_view help);
  void operator()(std::string_view key, std::optional<double>& member, std::string_view help, Range = {});
  void operator()(std::string_view key, std::optional<std::vector<double>>& member, std::string_view help, Range = {});
  /// A string out of `choices`.
  void choice(std::string_view key, std::string& member, std::span<const std::string_view> choices, std::string_view help);
  void choice(std::string_view key, std::string& member, std::initializer_list<std::string_view> choices, std::string_view help) {
    choice(key, member, std::span(choices.begin(), choices.size()), help);
  }
  /// "auto" or a number (THREADS, MODEL.IN_CHANS): a string key; nullopt is auto.
  void auto_or(std::string_view key, std::optional<int64_t>& member, std::string_view help, Range = {});
  /// A key that only exists so that files which set it are understood: known, but any value other than the default is refused when
  /// bound, saying so. For Swin's keys whose feature is not built yet.
  void unsupported(std::string_view key, const struct Value& fallback, std::string_view help);

  /// A nested group: f.group("LR_SCHEDULER", schedule) calls schedule.fields() on it.
  template <class T>
  void group(std::string_view key, T& member) {
    enter(key);
    member.fields(*this);
    leave();
  }

 protected:
  struct Spec;  // one key as declared
  virtual void field(const Spec&) = 0;
  virtual void enter(std::string_view group) = 0;
  virtual void leave() = 0;
};

}  // namespace trainer::config
