#include "lib/io/safetensors_header.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <set>

#include "lib/base/text.h"
#include "lib/tensor/shape.h"

namespace trainer::io::safetensors {
namespace {

/// A SAX handler for the header. Unlike with a parsed tree, nesting is bounded by the format, and duplicate
/// keys and negative numbers are seen. Each function returns false to stop the parser.
class HeaderReader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Header header;
  std::string error;

  bool start_object(std::size_t) override {
    if (where_ == Where::outside) return enter(Where::header);
    if (where_ != Where::header) return refuse();
    if (name_ == metadata_key) return enter(Where::metadata);
    header.entries.push_back({name_, {}, {}, {}});
    fields_.clear();
    return enter(Where::tensor);
  }

  bool end_object() override {
    if (where_ == Where::header) return enter(Where::outside);
    if (where_ == Where::tensor) {
      for (const char* field : {"dtype", "shape", "data_offsets"}) {
        if (!fields_.contains(field)) return stop("tensor '{}': has no {}", printable(name_), field);
      }
      if (entry().offsets.size() != 2)
        return stop("tensor '{}': data_offsets must be two numbers", printable(name_));
    }
    return enter(Where::header);
  }

  bool key(string_t& key) override {
    if (where_ == Where::header) {
      name_ = key;
      return names_.insert(key).second || stop("'{}' appears twice", printable(key));
    }
    if (where_ == Where::metadata) {
      field_ = key;
      return !header.metadata.contains(key) || stop("{}: '{}' appears twice", metadata_key, printable(key));
    }
    field_ = key;
    if (key != "dtype" && key != "shape" && key != "data_offsets") {
      return stop("tensor '{}': unknown field '{}'", printable(name_), printable(key));
    }
    return fields_.insert(key).second || stop("tensor '{}': {} appears twice", printable(name_), key);
  }

  bool string(string_t& value) override {
    if (where_ == Where::metadata) return header.metadata.emplace(field_, value).second;
    if (where_ != Where::tensor || field_ != "dtype") return refuse();
    entry().dtype = value;
    return true;
  }

  bool start_array(std::size_t) override {
    if (where_ != Where::tensor || field_ == "dtype") return refuse();
    return enter(Where::list);
  }
  bool end_array() override { return enter(Where::tensor); }

  bool number_unsigned(number_unsigned_t value) override {
    if (where_ != Where::list) return refuse();
    const bool is_shape = field_ == "shape";
    auto& list = is_shape ? entry().shape : entry().offsets;
    // Checked here, not at the end: the list may be as long as the header.
    if (list.size() == (is_shape ? size_t{Shape::max_rank} : size_t{2})) {
      return stop("tensor '{}': {} has more than {} numbers", printable(name_), field_, list.size());
    }
    list.push_back(value);
    return true;
  }

  bool number_integer(number_integer_t) override { return refuse(); }  // a negative one
  bool number_float(number_float_t, const string_t&) override { return refuse(); }
  bool null() override { return refuse(); }
  bool boolean(bool) override { return refuse(); }
  bool binary(binary_t&) override { return refuse(); }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception& e) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 2: the reason"
    std::string_view what = e.what();
    if (const size_t reason = what.find(": "); reason != what.npos) what.remove_prefix(reason + 2);
    return stop("not valid JSON at byte {}: {}", prefix_bytes + position, printable(what));
  }

 private:
  enum class Where { outside, header, metadata, tensor, list };

  bool enter(Where where) {
    where_ = where;
    return true;
  }

  template <class... A>
  bool stop(fmt::format_string<A...> text, A&&... a) {
    error = fmt::format(text, std::forward<A>(a)...);
    return false;
  }

  /// Stops because the current value has the wrong type for its place.
  bool refuse() {
    switch (where_) {
      case Where::outside:
        return stop("it is not a JSON object");
      case Where::header:
        return stop("'{}' is not an object", printable(name_));
      case Where::metadata:
        return stop("{}: '{}' is not a string", metadata_key, printable(field_));
      case Where::tensor:
        return stop("tensor '{}': {} is not a {}", printable(name_), field_,
                    field_ == "dtype" ? "string" : "list");
      case Where::list:
        break;
    }
    return stop("tensor '{}': {} must hold integers of 0 or more", printable(name_), field_);
  }

  Entry& entry() { return header.entries.back(); }

  Where where_ = Where::outside;
  std::string name_, field_;
  std::set<std::string, std::less<>> names_, fields_;  // seen so far: in the header, in this tensor
};

}  // namespace

Header parse_header(std::string_view text, const std::filesystem::path& path, Exit code) {
  check(code, text.starts_with('{'), "{}: not a safetensors file: its header does not begin with '{{'",
        path.string());
  // The parser takes a NUL for the end of its input.
  check(code, text.find('\0') == text.npos, "{}: bad safetensors header: it contains a NUL byte",
        path.string());
  HeaderReader reader;
  const bool ok = nlohmann::json::sax_parse(text, &reader);
  check(code, ok, "{}: bad safetensors header: {}", path.string(), reader.error);
  return std::move(reader.header);
}

}  // namespace trainer::io::safetensors
