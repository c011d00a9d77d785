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

#include "lib/config/text_file.h"

namespace trainer::config {
namespace {

using Form = RawValue::Form;
constexpr std::string_view core_tag = "tag:yaml.org,2002:";

/// Builds RawValues from the parser's events. Working on events rather than on yaml-cpp's nodes means that
/// depth and size are checked before the parser recurses, that positions are those of the text, and that no
/// cyclic graph ever exists.
class Builder : public YAML::EventHandler {
 public:
  Builder(std::string_view name, Budget& budget, Problems& problems)
      : name_(name), budget_(budget), problems_(problems) {}

  std::shared_ptr<const RawValue> root() const { return root_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) stop(mark, "a second document or text after the end of the first");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { OnScalar(mark, "?", anchor, ""); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (expects_key()) stop(mark, "a key must be a plain word, not an alias");
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) stop(mark, "an alias inside the value that it names");
    add(mark, found->second.raw, found->second.cost);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    const Form form = scalar_form(mark, tag);
    if (expects_key()) return key(mark, form, text);
    auto raw = std::make_shared<RawValue>(RawValue{.form = form, .mark = at(mark), .text = text});
    constexpr size_t bytes_per_node = 100;  // aliases of a long text must not be cheap
    finish(mark, std::move(raw), 1 + text.size() / bytes_per_node, anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, Form::list, tag, "seq", anchor);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, Form::map, tag, "map", anchor);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

 private:
  struct Open {
    std::shared_ptr<RawValue> raw;
    YAML::Mark mark;
    YAML::anchor_t anchor = 0;
    size_t cost = 1;
    bool has_key = false;
    std::unordered_map<std::string, int> lines = {};  // where each key was first
  };
  struct Anchored {
    std::shared_ptr<const RawValue> raw;
    size_t cost;
  };

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
            YAML::anchor_t anchor) {
    if (expects_key()) stop(mark, "a key must be a plain word, not a list or a group");
    if (open_.size() == Budget::depth) stop(mark, fmt::format("nested deeper than {} levels", Budget::depth));
    const bool foreign =
        !tag.empty() && tag != "?" && tag != "!" && tag != fmt::format("{}{}", core_tag, type);
    if (foreign) stop(mark, fmt::format("the tag {} is not supported", tag));
    spend(mark, 1);
    open_.push_back({std::make_shared<RawValue>(RawValue{.form = form, .mark = at(mark)}), mark, anchor});
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

  std::string_view name_;
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

std::shared_ptr<const RawValue> read_yaml(std::string_view text, std::string_view name, Budget& budget,
                                          Problems& problems) {
  if (const std::string what = text_error(text); !what.empty()) {
    problems.add(name, "", what);
    return nullptr;
  }
  Builder builder(name, budget, problems);
  const size_t problems_before = problems.count();
  try {
    // With a line break at the very end yaml-cpp would take a quoted text that is still open for closed.
    std::istringstream stream(std::string(text) + (text.ends_with('\n') ? "#" : "\n#"));
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
  if (!what.empty()) {
    problems.add(path.string(), "", what);
    return nullptr;
  }
  --budget.files;
  return read_yaml(text, path.string(), budget, problems);
}

}  // namespace trainer::config
