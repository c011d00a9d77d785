#include "lib/checkpoint/locate.h"

#include "lib/checkpoint/step_directory.h"

namespace trainer::checkpoint {
namespace {

bool is_pointer(const fs::path& p) {
  return (p.filename() == "latest" || p.filename() == "best") && fs::is_regular_file(p);
}

fs::path intact(const fs::path& step) {
  validate(step);
  return step;
}

}  // namespace

fs::path find_step(const fs::path& named) {
  check(Exit::weights, fs::exists(named), "{}: there is no such checkpoint or run directory", named.string());
  if (is_pointer(named)) {
    return intact(named.parent_path() / step_name(*pointed(named.parent_path(), named.filename().string())));
  }
  check(Exit::weights, fs::is_directory(named), "{} is neither a checkpoint nor a run directory",
        named.string());
  const fs::path path = named.has_filename() ? named : named.parent_path();  // "run/" is "run"
  if (fs::exists(path / manifest_name)) return intact(path);
  const fs::path folder = fs::is_directory(path / "checkpoints") ? path / "checkpoints" : path;
  const auto step = newest_valid(folder);
  check(Exit::weights, step.has_value(), "{} holds no intact checkpoint", path.string());
  return folder / step_name(*step);
}

fs::path find_weights(const fs::path& named) {
  if (fs::is_regular_file(named) && !is_pointer(named)) return named;
  if (!fs::exists(named)) return named;  // whoever opens it says so
  return find_step(named) / "model.safetensors";
}

}  // namespace trainer::checkpoint
