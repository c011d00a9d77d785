// Layers and parameter groups of a plan.
#include <algorithm>
#include <map>

#include "apps/trainer/plan.h"
#include "apps/trainer/train_modes.h"
#include "lib/base/text.h"
#include "lib/nn/trace.h"

namespace trainer::app {
namespace {

std::string shortened(const std::string& text, size_t width) {
  return text.size() <= width ? text : text.substr(0, width - 2) + "..";
}

/// 16x112x112x64, which is shorter than [16, 112, 112, 64].
std::string extents(const Shape& shape) {
  std::string text;
  for (const int64_t extent : shape) text += fmt::format("{}{}", text.empty() ? "" : "x", extent);
  return text;
}

/// The model itself has no path.
std::string name_of(const nn::LayerCall& c) { return c.path.empty() ? "(model)" : c.path; }

std::string macs_text(int64_t macs) { return macs > 0 ? human_count(static_cast<double>(macs)) : ""; }

struct Group {
  std::vector<std::string> names;
  int64_t elements = 0;

  void add(const optim::Span& span) {
    names.push_back(span.name);
    elements += span.size;
  }
};

/// "54 tensors, 25,502,912 parameters", and which.
std::string describe(const Group& group, int columns) {
  static constexpr size_t most = 12;
  std::vector<std::string> patterns = name_patterns(group.names);
  if (const size_t n = patterns.size(); n > most) {
    patterns.resize(most - 1);
    patterns.push_back(fmt::format("and {} more", n - patterns.size()));
  }
  std::string which;
  for (const std::string& pattern : patterns) which += (which.empty() ? "" : " ") + pattern;
  return row("", fmt::format("{} tensor{}, {} parameters", group.names.size(),
                             group.names.size() == 1 ? "" : "s", with_commas(group.elements))) +
         wrapped_row("", which, columns);
}

}  // namespace

std::string layer_table(const Planned& plan, bool cut) {
  const auto calls = nn::trace(*plan.training.model, plan.training.loader->dataset().spec().input,
                               plan.settings.loader.batch_size, Device{});
  size_t path = 5, kind = 4, output = 6;
  int64_t macs = 0;
  for (const auto& c : calls) {
    path = std::max(path, name_of(c).size());
    kind = std::max(kind, c.description.size());
    output = std::max(output, extents(c.output).size());
    macs += c.macs;
  }
  const int64_t batch = plan.settings.loader.batch_size, all = nn::count_parameters(*plan.training.model);
  const std::string total = with_commas(all);
  const size_t count = std::max<size_t>(10, total.size());
  if (cut) {  // what there is no room for is missing from the kinds, then from the paths
    const size_t others = output + count + 7 + 8,
                 room = std::max<size_t>(static_cast<size_t>(plan.columns), 60) - others;
    const size_t least = std::min(kind, std::max<size_t>(10, room / 3));
    path = std::min(path, room - least);
    kind = std::min(kind, room - path);
  }
  std::string text = fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>{}}  {:>7}\n", "layer", path, "kind", kind,
                                 "output", output, "parameters", count, "MACs");
  for (const auto& c : calls) {
    text += fmt::format("{:<{}}  {:<{}}  {:<{}}  {:>{}}  {:>7}\n", shortened(name_of(c), path), path,
                        shortened(c.description, kind), kind, extents(c.output), output,
                        with_commas(c.parameters), count, macs_text(c.macs / batch));
  }
  text += fmt::format("{:<{}}  {:>{}}  {:>7}\n", "total", path + kind + output + 4, total, count,
                      macs_text(macs / batch));
  text += fmt::format("\n{}: {}, {} MACs a sample\n", plan.settings.model.name,
                      count_text(*plan.training.parameters), human_count(static_cast<double>(macs / batch)));
  return text;
}

std::vector<std::string> name_patterns(const std::vector<std::string>& names) {
  std::vector<std::string> patterns;
  std::map<std::string, std::pair<size_t, std::string>> found;  // how many, and the first
  for (const std::string& name : names) {
    std::string pattern;
    for (const char c : name) {
      if (c < '0' || c > '9') {
        pattern += c;
      } else if (pattern.empty() || pattern.back() != '*') {
        pattern += '*';
      }
    }
    auto& [count, first] = found[pattern];
    if (count++ > 0) continue;
    first = name;
    patterns.push_back(pattern);
  }
  for (std::string& pattern : patterns) {
    const auto& [count, first] = found[pattern];
    if (count == 1) pattern = first;
  }
  return patterns;
}

std::string group_table(const Planned& plan) {
  const optim::Parameters& parameters = *plan.training.parameters;
  std::map<std::pair<double, double>, Group, std::greater<>> groups;
  // Arenas are in reverse order of use.
  const auto& trained = parameters.trainable();
  std::for_each(trained.rbegin(), trained.rend(), [&](const optim::Span& span) {
    groups[{span.lr_factor, span.weight_decay}].add(span);
  });
  const double base =
      train::scaled_rates(plan.settings.train, plan.training.trainer->plan().effective_batch).base;
  std::string text = fmt::format("parameter groups ({})\n", plan.settings.train.optimizer);
  for (const auto& [key, group] : groups) {
    text += fmt::format("  learning rate {:.4g}{}, weight decay {:.4g}\n", base * key.first,
                        key.first == 1 ? "" : fmt::format(" ({:.4g} of the others')", key.first), key.second);
    text += describe(group, plan.columns);
  }
  if (parameters.frozen().empty()) return text;
  Group frozen;
  const auto& rest = parameters.frozen();
  std::for_each(rest.rbegin(), rest.rend(), [&](const optim::Span& span) { frozen.add(span); });
  return text + "  frozen\n" + describe(frozen, plan.columns);
}

}  // namespace trainer::app
