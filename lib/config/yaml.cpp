#include "lib/config/yaml.h"

#include <fmt/core.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include "lib/config/literal.h"
#include "lib/config/text_file.h"
#include "lib/config/yaml_scalar.h"
#include "lib/config/yaml_text.h"

namespace trainer::config {
namespace {

using Form = RawValue::Form;
constexpr std::string_view core_tag = "tag:yaml.org,2002:";

/// Builds RawValues from the parser's events. Working on events rather than on yaml-cpp's nodes means that
/// depth and size are checked before the parser recurses, that positions are those of the text, and that no
/// cyclic graph ever exists.
class Builder : public YAML::EventHandler {
 public:
  Builder(std::string_view text, std::string_view name, Budget& budget, Problems& problems)
      : text_(text), name_(name), budget_(budget), problems_(problems) {}

  std::shared_ptr<const RawValue> root() const { return root_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) stop(mark, "a second document or text after the end of the first");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    // Between commas the parser takes nothing for null, and its mark is the comma's.
    const bool in_list = !open_.empty() && open_.back().raw->form == Form::list;
    if (in_list && character(mark) == ',') stop(mark, "nothing before a comma");
    scalar(mark, "?", anchor, "");
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (expects_key()) stop(mark, "a key must be a plain word, not an alias");
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) stop(mark, "an alias inside the value that it names");
    add(mark, found->second.raw, found->second.cost);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    check_indentation(mark);
    check_spelling(mark);
    // "!" is the parser's word for quotes; written, it means a plain scalar, also before quotes.
    scalar(mark, tag == "!" && character(mark) == '!' ? "?" : tag, anchor, with_whole_characters(text));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override {
    if (style == YAML::EmitterStyle::Flow) check_indentation(mark);
    open(mark, Form::list, tag, "seq", anchor, style);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    if (style == YAML::EmitterStyle::Flow) check_indentation(mark);
    open(mark, Form::map, tag, "map", anchor, style);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    std::shared_ptr<RawValue> raw;
    YAML::Mark mark;
    YAML::anchor_t anchor = 0;
    YAML::EmitterStyle::value style = YAML::EmitterStyle::Default;
    size_t cost = 1;
    bool has_key = false;
    std::unordered_map<std::string, int> lines = {};  // where each key was first
  };
  struct Anchored {
    std::shared_ptr<const RawValue> raw;
    size_t cost;
  };

  /// The character at a position; '\0' at the end.
  char character(const YAML::Mark& mark) const {
    const auto at = static_cast<size_t>(mark.pos);
    return at < text_.size() ? text_[at] : '\0';
  }

  /// The parser takes a value that begins a line like a key of the same map. The marks of block scalars may.
  void check_indentation(const YAML::Mark& mark) const {
    const bool is_value = !open_.empty() && open_.back().raw->form == Form::map && open_.back().has_key;
    const bool is_block_scalar = character(mark) == '|' || character(mark) == '>';
    if (!is_value || is_block_scalar || open_.back().style == YAML::EmitterStyle::Flow) return;
    if (mark.column <= open_.back().mark.column) stop(mark, "a value has to be further right than its key");
  }

  /// What the parser takes in a scalar and YAML does not: \' in double quotes, and a comment without a space before
  /// it behind the marks of a block scalar.
  void check_spelling(const YAML::Mark& mark) const {
    auto at = static_cast<size_t>(mark.pos);
    while (at < text_.size() && (text_[at] == '&' || text_[at] == '!')) {  // what stands before the value
      at = std::min(text_.find_first_of(" \t\n", at), text_.size());
      at = std::min(text_.find_first_not_of(" \t\n", at), text_.size());
    }
    const char first = at < text_.size() ? text_[at] : '\0';
    if (first == '"') {
      for (++at; at + 1 < text_.size() && text_[at] != '"'; at += text_[at] == '\\' ? 2 : 1) {
        if (text_.substr(at, 2) == "\\'") stop(mark, "unknown escape character: '");
      }
    } else if (first == '|' || first == '>') {
      const size_t end = text_.find_first_not_of("+-0123456789", at + 1);
      if (end != text_.npos && text_[end] == '#') stop(mark, "a comment needs a space before it");
    }
  }

  void scalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
              const std::string& text) {
    const Form form = scalar_form(mark, tag);
    if (expects_key()) return key(mark, form, text);
    const bool is_tagged = form == Form::plain && tag.starts_with(core_tag);
    auto raw = std::make_shared<RawValue>(RawValue{.form = form,
                                                   .tagged = is_tagged,
                                                   .mark = at(mark),
                                                   .text = is_tagged ? tagged(mark, tag, text) : text});
    constexpr size_t bytes_per_node = 100;  // aliases of a long text must not be cheap
    finish(mark, std::move(raw), 1 + text.size() / bytes_per_node, anchor);
  }

  static Mark at(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }
  [[noreturn]] static void stop(const YAML::Mark& mark, const std::string& what) {
    throw YAML::ParserException(mark, what);
  }
  bool expects_key() const {
    return !open_.empty() && open_.back().raw->form == Form::map && !open_.back().has_key;
  }

  static Form scalar_form(const YAML::Mark& mark, std::string_view tag) {
    if (tag == "?" || tag.empty()) return Form::plain;
    if (tag == "!") return Form::quoted;
    if (tag.starts_with(core_tag)) {
      const std::string_view type = tag.substr(core_tag.size());
      if (type == "str") return Form::quoted;
      if (type == "int" || type == "float" || type == "bool" || type == "null") return Form::plain;
    }
    stop(mark, fmt::format("the tag {} is not supported", tag));
  }

  static std::string tagged(const YAML::Mark& mark, std::string_view tag, const std::string& text) {
    const std::string_view type = tag.substr(core_tag.size());
    auto meant = tagged_yaml_scalar(type, text);
    if (!meant) stop(mark, fmt::format("{} is not what the tag !!{} says", quote_literal(text), type));
    return std::move(*meant);
  }

  void key(const YAML::Mark& mark, Form form, const std::string& text) {
    if (text.empty()) stop(mark, "a key must be a word, and this one is empty");
    if (form == Form::plain && text == "<<")
      stop(mark, "merge keys (<<) are not supported; put the shared part into a BASE file");
    Open& map = open_.back();
    const auto [first, fresh] = map.lines.emplace(text, mark.line + 1);
    if (!fresh) {
      problems_.add(fmt::format("{}:{}:{}", name_, mark.line + 1, mark.column + 1), path(text),
                    fmt::format("duplicate key, first in line {}", first->second));
    }
    map.raw->entries.push_back({text, at(mark), nullptr});
    map.has_key = true;
  }

  /// The full key of `last` in the innermost map.
  std::string path(std::string_view last) const {
    std::string out;
    for (const Open& open : open_) {
      if (open.has_key) out += open.raw->entries.back().key + ".";
    }
    return out.append(last);
  }

  void open(const YAML::Mark& mark, Form form, std::string_view tag, std::string_view type,
            YAML::anchor_t anchor, YAML::EmitterStyle::value style) {
    if (expects_key()) stop(mark, "a key must be a plain word, not a list or a group");
    if (open_.size() == Budget::depth) stop(mark, fmt::format("nested deeper than {} levels", Budget::depth));
    const bool foreign =
        !tag.empty() && tag != "?" && tag != "!" && tag != fmt::format("{}{}", core_tag, type);
    if (foreign) stop(mark, fmt::format("the tag {} is not supported", tag));
    spend(mark, 1);
    open_.push_back(
        {std::make_shared<RawValue>(RawValue{.form = form, .mark = at(mark)}), mark, anchor, style});
  }

  void close() {
    const Open done = std::move(open_.back());
    open_.pop_back();
    if (done.anchor != 0) anchors_[done.anchor] = {done.raw, done.cost};
    attach(done.raw, done.cost);
  }

  void spend(const YAML::Mark& mark, size_t cost) {
    if (cost > budget_.nodes) stop(mark, "too many values (aliases count each time that they are used)");
    budget_.nodes -= cost;
  }

  void finish(const YAML::Mark& mark, std::shared_ptr<const RawValue> raw, size_t cost,
              YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = {raw, cost};
    add(mark, std::move(raw), cost);
  }

  void add(const YAML::Mark& mark, std::shared_ptr<const RawValue> raw, size_t cost) {
    spend(mark, cost);
    attach(std::move(raw), cost);
  }

  void attach(std::shared_ptr<const RawValue> raw, size_t cost) {
    if (open_.empty()) {
      root_ = std::move(raw);
      return;
    }
    Open& parent = open_.back();
    parent.cost += cost;
    if (parent.raw->form == Form::list) {
      parent.raw->items.push_back(std::move(raw));
    } else {
      parent.raw->entries.back().value = std::move(raw);
      parent.has_key = false;
    }
  }

  std::string_view text_, name_;
  Budget& budget_;
  Problems& problems_;
  int documents_ = 0;
  std::vector<Open> open_;
  std::unordered_map<YAML::anchor_t, Anchored> anchors_;
  std::shared_ptr<const RawValue> root_;
};

/// Where and why the parser gave up. It has read one line more than the file has.
void add_problem(std::string_view name, std::string_view text, const YAML::Exception& e, Problems& problems) {
  const auto lines =
      static_cast<int>(std::count(text.begin(), text.end(), '\n')) + (text.ends_with('\n') ? 0 : 1);
  const bool at_end = e.mark.line >= lines;
  const Mark mark = at_end ? Mark{lines, 1} : Mark{e.mark.line + 1, e.mark.column + 1};
  const bool in_quotes = e.msg == YAML::ErrorMsg::EOF_IN_SCALAR;
  const std::string what = in_quotes ? "a quoted text is not closed at the end of the file" : e.msg;
  problems.add(fmt::format("{}:{}:{}", name, mark.line, mark.column), "", what);
}

}  // namespace

std::shared_ptr<const RawValue> read_yaml(std::string_view bytes, std::string_view name, Budget& budget,
                                          Problems& problems) {
  if (const TextError e = text_error(bytes); !e.what.empty()) {
    problems.add(e.line == 0 ? std::string(name) : fmt::format("{}:{}:{}", name, e.line, e.column), "",
                 e.what);
    return nullptr;
  }
  const std::string text = with_line_feeds(bytes);
  if (const auto [line, what] = directive_error(text); line > 0) {
    problems.add(fmt::format("{}:{}:1", name, line), "", what);
    return nullptr;
  }
  const auto marks = std::count_if(text.begin(), text.end(), [](char c) {
    return std::string_view("[]{},:?&*!\"'").find(c) != std::string_view::npos;
  });
  if (static_cast<size_t>(marks) > Budget::marks) {
    problems.add(name, "",
                 fmt::format("too many values: {} brackets, commas, colons and quotes, and {} are the most",
                             marks, Budget::marks));
    return nullptr;
  }
  Builder builder(text, name, budget, problems);
  const size_t problems_before = problems.count();
  try {
    // With a line break, a blank line or the quote at the very end yaml-cpp would take a quoted text that is still open
    // for closed. Else the end stays as it is: a break there would be part of a block scalar.
    const size_t last = text.find_last_not_of(" \t");
    const bool blank_line = last == text.npos || text[last] == '\n';
    const bool needs_break = blank_line || text.ends_with('\'') || text.ends_with('"');
    std::istringstream stream(text + (text.ends_with('\n') ? "#" : needs_break ? "\n#" : ""));
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) continue;
  } catch (const YAML::Exception& e) {
    add_problem(name, text, e, problems);
    return nullptr;
  }
  if (problems.count() > problems_before) return nullptr;
  const auto root = builder.root();
  if (!root || (root->form == Form::plain && decode(*root)->is_none())) {
    problems.add(name, "", "the file is empty");
    return nullptr;
  }
  if (root->form != Form::map) {
    problems.add(fmt::format("{}:{}:{}", name, root->mark.line, root->mark.column), "",
                 fmt::format("the root must be a map of keys, not {}", describe(*root)));
    return nullptr;
  }
  return root;
}

std::shared_ptr<const RawValue> read_yaml_file(const std::filesystem::path& path, Budget& budget,
                                               Problems& problems) {
  std::string text;
  std::string what = path.extension() == ".py" ? "Python files are not read; write YAML"
                                               : read_text(path, Budget::file_bytes, text);
  if (what.empty() && budget.files == 0) what = "too many files inherit from each other";
  if (what.empty() && text.size() > budget.bytes)
    what = fmt::format("the files are larger than {} KiB together", 4 * Budget::file_bytes / 1024);
  if (!what.empty()) {
    problems.add(path.string(), "", what);
    return nullptr;
  }
  --budget.files;
  budget.bytes -= text.size();
  return read_yaml(text, path.string(), budget, problems);
}

}  // namespace trainer::config
