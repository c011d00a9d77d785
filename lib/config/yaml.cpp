#include "lib/config/yaml.h"

#include <fmt/core.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <sstream>
#include <unordered_map>
#include <unordered_set>

#include "lib/config/text_file.h"

namespace trainer::config {
namespace {

using Form = Source::Form;
constexpr std::string_view core_tag = "tag:yaml.org,2002:";

/// Builds Sources out of the parser's events. Working on events rather than on yaml-cpp's nodes means that
/// depth and size are checked before the parser recurses, that positions are those of the text, and that no
/// cyclic graph ever exists.
class Builder : public YAML::EventHandler {
 public:
  Builder(std::string_view name, std::string_view sentinel, Budget& budget, Problems& problems)
      : name_(name), sentinel_(sentinel), budget_(budget), problems_(problems) {}

  std::shared_ptr<const Source> root() const { return root_; }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) stop(mark, "a second document or text after the end of the first");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { OnScalar(mark, "?", anchor, ""); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (expects_key()) stop(mark, "a key must be a plain word, not an alias");
    const auto found = anchors_.find(anchor);
    if (found == anchors_.end()) stop(mark, "an alias inside the value that it names");
    add(mark, found->second.source, found->second.cost);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    if (text.find(sentinel_) != text.npos) stop(mark, "a quoted text is not closed");
    const Form form = scalar_form(mark, tag);
    if (expects_key()) return key(mark, form, text);
    auto source = std::make_shared<Source>(Source{.form = form, .mark = at(mark), .text = text});
    constexpr size_t bytes_per_node = 100;  // aliases of a long text must not be cheap
    finish(mark, std::move(source), 1 + text.size() / bytes_per_node, anchor);
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
    std::shared_ptr<Source> source;
    YAML::Mark mark;
    YAML::anchor_t anchor = 0;
    size_t cost = 1;
    bool has_key = false;
    std::unordered_map<std::string, int> lines = {};  // where each key was first
  };
  struct Anchored {
    std::shared_ptr<const Source> source;
    size_t cost;
  };

  static Mark at(const YAML::Mark& mark) { return {mark.line + 1, mark.column + 1}; }
  [[noreturn]] static void stop(const YAML::Mark& mark, const std::string& what) {
    throw YAML::ParserException(mark, what);
  }
  bool expects_key() const {
    return !open_.empty() && open_.back().source->form == Form::map && !open_.back().has_key;
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
    map.source->entries.push_back({text, at(mark), nullptr});
    map.has_key = true;
  }

  /// The full key of `last` in the innermost map.
  std::string path(std::string_view last) const {
    std::string out;
    for (const Open& open : open_) {
      if (open.has_key) out += open.source->entries.back().key + ".";
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
    open_.push_back({std::make_shared<Source>(Source{.form = form, .mark = at(mark)}), mark, anchor});
  }

  void close() {
    const Open done = std::move(open_.back());
    open_.pop_back();
    if (done.anchor != 0) anchors_[done.anchor] = {done.source, done.cost};
    attach(done.source, done.cost);
  }

  void spend(const YAML::Mark& mark, size_t cost) {
    if (cost > budget_.nodes) stop(mark, "too many values (aliases count each time that they are used)");
    budget_.nodes -= cost;
  }

  void finish(const YAML::Mark& mark, std::shared_ptr<const Source> source, size_t cost,
              YAML::anchor_t anchor) {
    if (anchor != 0) anchors_[anchor] = {source, cost};
    add(mark, std::move(source), cost);
  }

  void add(const YAML::Mark& mark, std::shared_ptr<const Source> source, size_t cost) {
    spend(mark, cost);
    attach(std::move(source), cost);
  }

  void attach(std::shared_ptr<const Source> source, size_t cost) {
    if (open_.empty()) {
      root_ = std::move(source);
      return;
    }
    Open& parent = open_.back();
    parent.cost += cost;
    if (parent.source->form == Form::list) {
      parent.source->items.push_back(std::move(source));
    } else {
      parent.source->entries.back().value = std::move(source);
      parent.has_key = false;
    }
  }

  std::string_view name_, sentinel_;
  Budget& budget_;
  Problems& problems_;
  int documents_ = 0;
  std::vector<Open> open_;
  std::unordered_map<YAML::anchor_t, Anchored> anchors_;
  std::shared_ptr<const Source> root_;
};

/// A comment that does not occur in `text`. Appended to it, it shows up inside a scalar exactly if that
/// scalar was still open.
std::string end_comment(std::string_view text) {
  std::string comment = "# end";
  while (text.find(comment) != text.npos) comment += '.';
  return comment;
}

}  // namespace

std::shared_ptr<const Source> read_yaml(std::string_view text, std::string_view name, Budget& budget,
                                        Problems& problems) {
  if (const std::string what = why_not_text(text); !what.empty()) {
    problems.add(name, "", what);
    return nullptr;
  }
  const std::string sentinel = end_comment(text);
  Builder builder(name, sentinel, budget, problems);
  const size_t problems_before = problems.count();
  try {
    std::istringstream stream(std::string(text) + (text.ends_with('\n') ? "" : "\n") + sentinel);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) continue;
  } catch (const YAML::Exception& e) {
    const bool placed = e.mark.line >= 0;
    problems.add(
        placed ? fmt::format("{}:{}:{}", name, e.mark.line + 1, e.mark.column + 1) : std::string(name), "",
        e.msg);
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

std::shared_ptr<const Source> read_yaml_file(const std::filesystem::path& path, Budget& budget,
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
