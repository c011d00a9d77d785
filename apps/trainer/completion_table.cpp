#include "apps/trainer/completion_table.h"

#include <algorithm>

#include "lib/data/dataset.h"
#include "lib/nn/loss.h"
#include "lib/nn/model.h"
#include "lib/optim/optimizer.h"
#include "lib/optim/schedule.h"

namespace trainer::app {
namespace {

std::vector<Offer> as_offers(const std::vector<std::string>& words) {
  std::vector<Offer> offers;
  for (const std::string& word : words) {
    if (!word.empty()) offers.push_back({word});  // '' is a choice, but no word of a shell
  }
  return offers;
}

std::vector<Offer> values_of(const Flag& flag) {
  std::vector<Offer> offers = as_offers(flag.offered.empty() ? flag.choices : flag.offered);
  if (offers.empty() && (flag.type == "FILE" || flag.type == "PATH")) offers = {{"@files"}};
  if (offers.empty() && flag.type == "DIR") offers = {{"@folders"}};
  if (offers.empty()) offers = {{"@any"}};
  if (flag.alone) offers.insert(offers.begin(), {"@optional"});
  return offers;
}

void add(const Command& command, const std::string& path, std::vector<Entry>& table) {
  Entry commands{path + ":commands", {}}, flags{path + ":flags", {{"--help", "this help"}}};
  std::vector<Entry> values;
  int position = 0;
  for (const Flag& flag : command.flags) {
    if (flag.hidden) continue;
    if (!flag.name.starts_with("-")) {
      values.push_back({path + ":" + (flag.many ? "rest" : std::to_string(++position)), values_of(flag)});
      continue;
    }
    flags.offers.push_back({flag.name, flag.help});
    // Without `take` it is --opts, whose words the scripts take apart themselves.
    if (!flag.type.empty() && flag.take) values.push_back({path + ":" + flag.name, values_of(flag)});
  }
  for (const Command& sub : command.subcommands) commands.offers.push_back({sub.name, sub.help});
  if (path == "trainer") flags.offers.push_back({"--version", "version, compiler, libraries, devices"});
  table.push_back(std::move(commands));
  table.push_back(std::move(flags));
  std::ranges::move(values, std::back_inserter(table));
  for (const Command& sub : command.subcommands) add(sub, path + " " + sub.name, table);
}

}  // namespace

std::vector<std::string> known_values(const std::string& key) {
  if (key == "MODEL.NAME") return nn::models().names();
  if (key == "DATA.DATASET") return data::datasets().names();
  if (key == "TRAIN.OPTIMIZER.NAME") return optim::optimizers().names();
  if (key == "TRAIN.LR_SCHEDULER.NAME") return optim::schedules().names();
  if (key == "TRAIN.LOSS") {
    std::vector<std::string> all = nn::losses().names();
    all.insert(all.begin(), "auto");
    return all;
  }
  if (key == "DEVICE") return {"auto", "cpu", "cuda"};
  if (key == "COMM.BACKEND") return {"auto", "gloo"};
  const auto& keys = config::declarations().keys;
  const auto found = keys.find(key);
  if (found == keys.end()) return {};
  const config::Declaration& declared = found->second;
  if (declared.unsupported) return {};
  if (declared.type.kind == config::Kind::boolean) return {"True", "False"};
  if (declared.type.or_auto) return {"auto"};
  return declared.choices;
}

std::vector<Entry> completion_table(const Command& root) {
  std::vector<Entry> table;
  add(root, root.name, table);
  Entry keys{"keys", {}};
  for (const auto& [key, declared] : config::declarations().keys) {
    keys.offers.push_back({key, declared.help});
    std::vector<Offer> values = as_offers(known_values(key));
    const bool is_text = declared.type.kind == config::Kind::string && !declared.unsupported;
    if (values.empty() && is_text) values = {{"@files"}};  // many of them are paths
    if (!values.empty()) table.push_back({"=" + key, std::move(values)});
  }
  table.push_back(std::move(keys));
  table.push_back({"models", as_offers(nn::models().names())});
  return table;
}

}  // namespace trainer::app
