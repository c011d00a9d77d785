#include "lib/train/resume.h"

#include "lib/base/log.h"
#include "lib/checkpoint/locate.h"
#include "lib/checkpoint/step_directory.h"

namespace trainer::train {

std::string choose_checkpoint(const RunDirectory& run, const Settings& s, bool restarted) {
  checkpoint::remove_leftovers(run.checkpoints(), run.id());
  const auto step = checkpoint::newest_valid(run.checkpoints());
  check(Exit::weights, step || checkpoint::committed_steps(run.checkpoints()).empty(),
        "{} holds checkpoints, but none that can be read and is intact (see above): beginning anew would "
        "lose them. Mend or remove them, or choose another --tag",
        run.checkpoints().string());
  const fs::path own = step ? run.checkpoints() / checkpoint::step_name(*step) : fs::path();
  const bool goes_on = s.train.auto_resume || restarted;  // a launcher starts a run again to continue it
  if (s.model.resume.empty()) {
    check(Exit::usage, goes_on || !run.used(),
          "{} holds a run already, and --resume none (TRAIN.AUTO_RESUME False) begins anew: choose "
          "another --tag or --output, or remove it",
          run.path().string());
    if (run.used() && own.empty()) log::info("{} has no checkpoint yet: beginning anew", run.path().string());
    return own.string();
  }
  const fs::path named = checkpoint::find_step(s.model.resume);
  if (own.empty() || fs::equivalent(named, own)) return named.string();
  check(Exit::usage, !fs::equivalent(named.parent_path(), run.checkpoints()),
        "{} is not the newest checkpoint of its run, {}: going on from it would overwrite what came "
        "later. Give the new run another --tag",
        named.string(), own.filename().string());
  check(Exit::usage, goes_on, "{} has checkpoints of its own: choose another --tag or --output",
        run.path().string());
  log::info("{} has begun already: its own checkpoint counts, not {}", run.path().string(), named.string());
  return own.string();
}

std::string checkpoint_to_evaluate(const Settings& s) {
  if (!s.model.resume.empty()) return checkpoint::find_step(s.model.resume).string();
  const fs::path own = fs::path(run_path(s)) / "checkpoints";
  if (!s.model.pretrained.empty() || !s.train.auto_resume || !fs::is_directory(own)) return "";
  const auto step = checkpoint::newest_valid(own);
  return step ? (own / checkpoint::step_name(*step)).string() : "";
}

}  // namespace trainer::train
