#include "lib/checkpoint/archive.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/base/error.h"
#include "lib/base/text.h"

namespace trainer::checkpoint {

using Json = nlohmann::ordered_json;

struct Archive::Document {
  bool reading;
  std::string file;  // for messages
  Json root = Json::object();
  /// The groups that are open, outermost first. Only the innermost one gets new members, so that the
  /// addresses of the others hold.
  std::vector<Json*> open = {&root};
  std::vector<std::string> path = {};

  Json& here() { return *open.back(); }
  std::string path_of(std::string_view key) const {
    std::string all;
    for (const std::string& group : path) all += group + ".";
    return printable(all + std::string(key));
  }

  Json& read(std::string_view key) {
    const auto found = here().find(std::string(key));
    check(Exit::weights, found != here().end(), "{}: has no '{}'", file, path_of(key));
    return *found;
  }

  Json& write(std::string_view key) {
    Json& object = here();
    check(!object.contains(std::string(key)), "Archive: '{}' is written twice", path_of(key));
    return object[std::string(key)];
  }
};

namespace {

// encode() and decode() of a type; decode() leaves `value` alone and returns false if the JSON is something
// else.

template <class T>
requires std::same_as<T, bool> || std::same_as<T, int64_t> || std::same_as<T, uint64_t> ||
    std::same_as<T, std::string>
        Json encode(const T& value) {
  return Json(value);
}

/// A NaN shows its bits: sign and payload are part of a state.
Json encode(double value) {
  if (std::isfinite(value)) return Json(value);
  if (std::isinf(value)) return Json(value > 0 ? "inf" : "-inf");
  return Json(fmt::format("nan:{:016x}", std::bit_cast<uint64_t>(value)));
}

bool decode(const Json& json, bool& value) {
  if (!json.is_boolean()) return false;
  value = json.get<bool>();
  return true;
}

bool decode(const Json& json, uint64_t& value) {
  if (!json.is_number_unsigned()) return false;
  value = json.get<uint64_t>();
  return true;
}

bool decode(const Json& json, int64_t& value) {
  if (!json.is_number_integer()) return false;
  if (json.is_number_unsigned() && json.get<uint64_t>() > INT64_MAX) return false;
  value = json.get<int64_t>();
  return true;
}

bool decode(const Json& json, double& value) {
  if (json.is_number()) {
    value = json.get<double>();
    return true;
  }
  if (!json.is_string()) return false;
  const auto& text = json.get_ref<const std::string&>();
  constexpr std::string_view nan = "nan:";
  if (text == "inf" || text == "-inf") {
    value = text == "inf" ? HUGE_VAL : -HUGE_VAL;
    return true;
  }
  if (!text.starts_with(nan)) return false;
  uint64_t bits = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data() + nan.size(), last, bits, 16);
  const double number = std::bit_cast<double>(bits);
  if (error != std::errc() || end != last || !std::isnan(number)) return false;
  value = number;
  return true;
}

bool decode(const Json& json, std::string& value) {
  if (!json.is_string()) return false;
  value = json.get<std::string>();
  return true;
}

template <class T>
Json encode(const std::optional<T>& value) {
  return value ? encode(*value) : Json(nullptr);
}

template <class T>
bool decode(const Json& json, std::optional<T>& value) {
  if (json.is_null()) {
    value.reset();
    return true;
  }
  T inner{};
  if (!decode(json, inner)) return false;
  value = inner;
  return true;
}

template <class T>
Json encode(const std::vector<T>& values) {
  Json list = Json::array();
  for (const T& value : values) list.push_back(encode(value));
  return list;
}

template <class T>
bool decode(const Json& json, std::vector<T>& values) {
  if (!json.is_array()) return false;
  std::vector<T> list;
  for (const Json& element : json) {
    T value{};
    if (!decode(element, value)) return false;
    list.push_back(std::move(value));
  }
  values = std::move(list);
  return true;
}

std::string name_of(const bool&) { return "true or false"; }
std::string name_of(const int64_t&) { return "an integer"; }
std::string name_of(const uint64_t&) { return "an integer of 0 or more"; }
std::string name_of(const double&) { return "a number"; }
std::string name_of(const std::string&) { return "a string"; }
template <class T>
std::string name_of(const std::optional<T>&) {
  return name_of(T{}) + " or null";
}
template <class T>
std::string name_of(const std::vector<T>&) {
  return "a list, each element " + name_of(T{});
}

}  // namespace

Archive::Archive() : document_(new Document{.reading = false, .file = {}}) {}

Archive::Archive(std::string_view text, std::string file)
    : document_(new Document{.reading = true, .file = std::move(file)}) {
  document_->root = Json::parse(text, nullptr, false);
  check(Exit::weights, !document_->root.is_discarded(), "{}: not valid JSON", document_->file);
  check(Exit::weights, document_->root.is_object(), "{}: not a JSON object", document_->file);
}

Archive::~Archive() = default;

bool Archive::reading() const { return document_->reading; }

std::vector<std::string> Archive::keys() const {
  std::vector<std::string> names;
  for (const auto& member : document_->here().items()) names.push_back(member.key());
  return names;
}

template <class T>
void Archive::field(std::string_view key, T& value) {
  Document& d = *document_;
  if (!d.reading) {
    d.write(key) = encode(value);
    return;
  }
  const Json& json = d.read(key);
  if (!decode(json, value)) {
    constexpr auto replace = Json::error_handler_t::replace;
    fail(Exit::weights, "{}: '{}' is {}, expected {}", d.file, d.path_of(key),
         printable(json.dump(-1, ' ', false, replace)), name_of(value));
  }
}

void Archive::operator()(std::string_view key, bool& value) { field(key, value); }
void Archive::operator()(std::string_view key, int64_t& value) { field(key, value); }
void Archive::operator()(std::string_view key, uint64_t& value) { field(key, value); }
void Archive::operator()(std::string_view key, double& value) { field(key, value); }
void Archive::operator()(std::string_view key, std::string& value) { field(key, value); }
void Archive::operator()(std::string_view key, std::optional<double>& value) { field(key, value); }
void Archive::operator()(std::string_view key, std::vector<std::string>& value) { field(key, value); }

void Archive::enter(std::string_view key) {
  Document& d = *document_;
  if (d.reading) {
    Json& group = d.read(key);
    check(Exit::weights, group.is_object(), "{}: '{}' is not an object", d.file, d.path_of(key));
    d.open.push_back(&group);
  } else {
    Json& group = d.write(key);
    group = Json::object();
    d.open.push_back(&group);
  }
  d.path.emplace_back(key);
}

void Archive::leave() {
  document_->open.pop_back();
  document_->path.pop_back();
}

std::string Archive::text() const {
  try {
    return document_->root.dump(2) + "\n";
  } catch (const Json::type_error& e) {
    fail(Exit::internal, "Archive: a string that is not UTF-8: {}", e.what());
  }
}

}  // namespace trainer::checkpoint
