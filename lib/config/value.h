// Value: the value of a configuration key. Type and Range: which values a key accepts. The types are yacs':
// bool, int, float, str, list, None. A tuple is a list here, because yacs converts each into the other.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

namespace trainer::config {

/// In the order of the alternatives of Value::data.
enum class Kind : uint8_t { none, boolean, integer, real, string, list };

/// "None", "bool", "int", "float", "str", "list": Python's names, which the users of yacs know.
std::string_view kind_name(Kind);

struct Value {
  using None = std::monostate;
  using List = std::vector<Value>;
  std::variant<None, bool, int64_t, double, std::string, List> data;

  Value() = default;
  Value(bool v) : data(v) {}
  Value(int v) : data(int64_t{v}) {}
  Value(int64_t v) : data(v) {}
  Value(double v) : data(v) {}
  Value(std::string v) : data(std::move(v)) {}
  Value(std::string_view v) : data(std::string(v)) {}
  Value(const char* v) : data(std::string(v)) {}
  Value(List v) : data(std::move(v)) {}
  template <class T>
  Value(const std::vector<T>& items) : data(List(items.begin(), items.end())) {}
  template <class T>
  Value(const std::optional<T>& v) : Value(v ? Value(*v) : Value()) {}
  template <class T>
  Value(T*) = delete;  // a pointer is not a bool

  Kind kind() const { return static_cast<Kind>(data.index()); }
  bool is_none() const { return kind() == Kind::none; }
  template <class T>
  const T* get_if() const {
    return std::get_if<T>(&data);
  }
  /// As Python prints it: None, True, 10, 1.0, 'text', [1, 2].
  std::string repr() const;
};

/// Same kind and same value; NaN equals NaN, so that a tree equals its copy.
bool operator==(const Value&, const Value&);

/// The values that a key accepts, beside None, which a merge accepts for every key.
struct Type {
  Kind kind = Kind::none;     ///< none: any leaf (a key whose default is None and that says no more)
  Kind element = Kind::none;  ///< of a list; none: anything
  bool nullable = false;      ///< None is accepted when bound, too: the member is a std::optional
  bool or_auto = false;       ///< an int key that also takes the word "auto"

  /// "int", "list of float", "float or None", "int or auto", "any value".
  std::string name() const;
  bool operator==(const Type&) const = default;
};

/// The type that a default without a C++ type suggests: its kind, and the common kind of a list's elements.
Type type_of(const Value&);

/// What is checked when a value is bound. Bounds apply to each element of a list.
struct Range {
  double min = -std::numeric_limits<double>::infinity();
  double max = std::numeric_limits<double>::infinity();
  bool min_open = false;       ///< the value must be greater than min
  bool max_open = false;       ///< the value must be less than max
  bool nonfinite = false;      ///< nan and inf are allowed, and may be written so
  int64_t length = -1;         ///< the number of elements a list must have; -1: any
  std::string_view unit = {};  ///< for documentation; a string literal

  /// ">= 1", "> 0 and < 1", ">= 0, 2 elements"; "" without bounds.
  std::string describe() const;
  bool contains(double) const;
};

namespace detail {
template <class T>
inline constexpr bool is_vector = false;
template <class T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;
}  // namespace detail

/// The C++ types a value converts to: bool, int, int64_t, double, std::string, vectors of them, and
/// std::optional of all.
template <class T>
constexpr Kind kind_of() {
  if constexpr (std::is_same_v<T, bool>) return Kind::boolean;
  if constexpr (std::is_same_v<T, int> || std::is_same_v<T, int64_t>) return Kind::integer;
  if constexpr (std::is_same_v<T, double>) return Kind::real;
  if constexpr (std::is_same_v<T, std::string>) return Kind::string;
  if constexpr (detail::is_vector<T>) return Kind::list;
  return Kind::none;
}

template <class T>
constexpr Type type_of() {
  if constexpr (detail::is_optional<T>) {
    Type type = type_of<typename T::value_type>();
    type.nullable = true;
    return type;
  } else if constexpr (detail::is_vector<T>) {
    return {.kind = Kind::list, .element = kind_of<typename T::value_type>()};
  } else {
    static_assert(kind_of<T>() != Kind::none, "no leaf type corresponds to this C++ type");
    return {.kind = kind_of<T>()};
  }
}

/// `value` as a T; nullopt if it has another kind (an int converts to double if that is exact) or is too
/// large.
template <class T>
std::optional<T> convert(const Value& value) {
  if constexpr (detail::is_optional<T>) {
    if (value.is_none()) return T{};
    auto inner = convert<typename T::value_type>(value);
    return inner ? std::optional<T>(std::move(*inner)) : std::nullopt;
  } else if constexpr (detail::is_vector<T>) {
    const auto* items = value.get_if<Value::List>();
    if (!items) return std::nullopt;
    T out;
    for (const Value& item : *items) {
      auto element = convert<typename T::value_type>(item);
      if (!element) return std::nullopt;
      out.push_back(std::move(*element));
    }
    return out;
  } else if constexpr (std::is_same_v<T, int>) {
    const auto* v = value.get_if<int64_t>();
    const bool fits = v && *v >= std::numeric_limits<int>::min() && *v <= std::numeric_limits<int>::max();
    return fits ? std::optional<int>(static_cast<int>(*v)) : std::nullopt;
  } else {
    if constexpr (std::is_same_v<T, double>) {
      if (const auto* v = value.get_if<int64_t>(); v && *v >= -(int64_t{1} << 53) && *v <= int64_t{1} << 53) {
        return static_cast<double>(*v);
      }
    }
    const auto* v = value.get_if<T>();
    return v ? std::optional<T>(*v) : std::nullopt;
  }
}

/// The value converted to a type: an int to float if that is exact; the elements of a list likewise, and
/// texts to the numbers that they spell ("1e-3" in a list of float), or numbers to text in a list of str. An
/// element that cannot be converted is kept: yacs does not check elements, binding does. None is kept for any
/// type. nullopt if the kinds differ.
std::optional<Value> coerce(const Value&, const Type&);

}  // namespace trainer::config
