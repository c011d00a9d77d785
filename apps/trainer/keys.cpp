#include "apps/trainer/keys.h"

#include "lib/config/declare.h"
#include "lib/data/dataset.h"
#include "lib/data/transform.h"
#include "lib/metrics/metric.h"
#include "lib/nn/loss.h"
#include "lib/nn/model.h"
#include "lib/optim/optimizer.h"
#include "lib/optim/schedule.h"

namespace trainer::app {

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
  if (key == "TEST.METRICS") return metrics::metrics().names();
  if (key == "DATA.TRANSFORMS.TRAIN" || key == "DATA.TRANSFORMS.VAL") {
    std::vector<std::string> all = data::transforms().names();
    all.insert(all.begin(), "auto");
    return all;
  }
  if (key == "TRAIN.FREEZE") return {"backbone"};
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

std::vector<cli::Entry> key_entries() {
  using config::Kind;
  const config::Declarations& declared = config::declarations();
  std::vector<cli::Entry> table;
  cli::Entry keys{"keys", {}};
  for (const auto& [key, declaration] : declared.keys) {
    keys.offers.push_back({key, declaration.help});
    std::vector<cli::Offer> values = cli::as_offers(known_values(key));
    const bool is_list = declaration.type.kind == Kind::list;
    const bool is_text = declaration.type.kind == Kind::string || declaration.type.element == Kind::string;
    if (values.empty() && is_text && !declaration.unsupported)
      values = {{"@files"}};  // many of them are paths
    if (is_list && !values.empty()) values.insert(values.begin(), {"@list"});
    if (!values.empty()) table.push_back({"=" + key, std::move(values)});
  }
  for (const std::string& group : declared.new_allowed)
    keys.offers.push_back({group + ".", "a group to which keys of your own may be added"});
  table.push_back(std::move(keys));
  table.push_back({"models", cli::as_offers(nn::models().names())});
  return table;
}

}  // namespace trainer::app
