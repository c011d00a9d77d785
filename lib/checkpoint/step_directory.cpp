#include "lib/checkpoint/step_directory.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "lib/base/log.h"
#include "lib/checkpoint/hash.h"

namespace trainer::checkpoint {
namespace {

constexpr std::string_view temporary_mark = ".tmp-";

/// step-00001200.tmp-RUN, step-00001200.tmp-RUN.removed
fs::path temporary_name(const fs::path& final_name, std::string_view run_id, std::string_view purpose = "") {
  const auto is_harmless = [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_'; };
  check(!run_id.empty() && std::all_of(run_id.begin(), run_id.end(), is_harmless),
        "'{}' cannot be the id of a run: letters, digits, '-' and '_' only", run_id);
  return fmt::format("{}{}{}{}", final_name.string(), temporary_mark, run_id, purpose);
}

/// "step-00001200" -> 1200; nothing for any other text.
std::optional<int64_t> step_of(std::string_view name) {
  constexpr std::string_view prefix = "step-";
  if (!name.starts_with(prefix)) return std::nullopt;
  int64_t step = 0;
  const auto [end, error] = std::from_chars(name.data() + prefix.size(), name.data() + name.size(), step);
  if (error != std::errc() || step_name(step) != name) return std::nullopt;
  return step;
}

void rename_entry(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::rename(from, to, error);
  check(Exit::weights, !error, "{}: cannot rename to {}: {}", from.string(), to.filename().string(),
        error.message());
}

void remove_tree(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  check(Exit::weights, !error, "{}: cannot remove: {}", path.string(), error.message());
}

std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    entries.push_back(it->path());
  }
  check(Exit::weights, !error || error == std::errc::no_such_file_or_directory, "{}: cannot read: {}",
        folder.string(), error.message());
  return entries;
}

/// Calls f; an Error becomes a warning.
template <class F>
bool or_warn(F&& f) {
  try {
    f();
    return true;
  } catch (const Error& e) {
    log::warn("{}", e.what());
    return false;
  }
}

}  // namespace

std::string step_name(int64_t step) { return fmt::format("step-{:08}", step); }

StepDirectory::StepDirectory(const fs::path& checkpoints, int64_t step, std::string_view run_id)
    : checkpoints_(checkpoints),
      final_(checkpoints / step_name(step)),
      temporary_(temporary_name(final_, run_id)),
      replaced_(temporary_name(final_, run_id, ".replaced")) {
  manifest_.step = step;
  remove_tree(temporary_);
  remove_tree(replaced_);
  std::error_code error;
  fs::create_directory(temporary_, error);
  check(Exit::weights, !error, "{}: cannot create: {}", temporary_.string(), error.message());
}

StepDirectory::~StepDirectory() {
  // Errors: before commit() the one that has led here says more, afterwards it is only space that is lost.
  std::error_code ignored;
  fs::remove_all(committed_ ? replaced_ : temporary_, ignored);
}

void StepDirectory::write_file(const std::string& name, const std::function<void(const Sink&)>& content) {
  check(!manifest_.files.contains(name), "{}: written twice", (temporary_ / name).string());
  NewFile file(temporary_ / name, Exit::weights);
  Hasher hasher;
  FileRecord record;
  content([&](std::span<const std::byte> bytes) {
    // Portion by portion, so that what is written is still in the cache from being hashed.
    constexpr size_t portion = 1 << 18;
    while (!bytes.empty()) {
      const auto part = bytes.first(std::min(portion, bytes.size()));
      hasher.update(part);
      file.write(part);
      record.bytes += part.size();
      bytes = bytes.subspan(part.size());
    }
  });
  file.finish();
  record.xxh3_128 = hasher.digest();
  manifest_.files[name] = record;
}

void StepDirectory::write(const std::string& name, std::string_view text) {
  write_file(name, [&](const Sink& sink) { sink(std::as_bytes(std::span(text.data(), text.size()))); });
}

void StepDirectory::write(const std::string& name, std::span<const Item> items) {
  write_file(name, [&](const Sink& sink) { write_items(items, temporary_ / name, sink); });
}

void StepDirectory::commit(int64_t world_size, const std::string& config_hash) {
  check(!committed_, "{}: committed twice", final_.string());
  manifest_.world_size = world_size;
  manifest_.config_hash = config_hash;
  const std::string text = manifest_.text();
  NewFile file(temporary_ / manifest_name, Exit::weights);
  file.write(text);
  file.finish();
  sync_folder(temporary_, Exit::weights);

  std::error_code error;
  const bool replaces = fs::exists(fs::symlink_status(final_, error));
  if (replaces) rename_entry(final_, replaced_);
  try {
    rename_entry(temporary_, final_);
  } catch (const Error&) {
    if (replaces) fs::rename(replaced_, final_, error);  // broken, but not ours to lose
    throw;
  }
  committed_ = true;
  sync_folder(checkpoints_, Exit::weights);
}

std::vector<int64_t> committed_steps(const fs::path& checkpoints) {
  std::vector<int64_t> steps;
  for (const fs::path& entry : entries_of(checkpoints)) {
    if (const auto step = step_of(entry.filename().string())) steps.push_back(*step);
  }
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::optional<int64_t> newest_valid(const fs::path& checkpoints) {
  const std::vector<int64_t> steps = committed_steps(checkpoints);
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    try {
      validate(checkpoints / step_name(*step));
      return *step;
    } catch (const Error& e) {
      log::warn("checkpoint {} is broken and skipped: {}", (checkpoints / step_name(*step)).string(),
                e.what());
    }
  }
  return std::nullopt;
}

void point(const fs::path& checkpoints, std::string_view name, int64_t step) {
  write_file_atomically(checkpoints / name, step_name(step) + "\n", Exit::weights);
}

std::optional<int64_t> pointed(const fs::path& checkpoints, std::string_view name) {
  const fs::path file = checkpoints / name;
  std::error_code error;
  if (fs::status(file, error).type() == fs::file_type::not_found) return std::nullopt;
  std::string text = read_file(file, Exit::weights, 4096);
  while (text.ends_with('\n')) text.pop_back();
  const auto step = step_of(text);
  check(Exit::weights, step.has_value(), "{}: does not name a step's directory", file.string());
  return step;
}

void remove_leftovers(const fs::path& checkpoints, std::string_view run_id) {
  const std::string ours = temporary_name("", run_id).string();
  for (const fs::path& entry : entries_of(checkpoints)) {
    const std::string name = entry.filename().string();
    // AtomicFile's temporaries: nobody else replaces pointers in a directory that is locked.
    bool is_ours = name.starts_with(".latest.tmp-") || name.starts_with(".best.tmp-");
    if (const size_t mark = name.find(ours); mark != name.npos && step_of(name.substr(0, mark))) {
      const size_t end = mark + ours.size();
      is_ours = end == name.size() || name[end] == '.';
    }
    if (is_ours) or_warn([&] { remove_tree(entry); });
  }
}

void retain(const fs::path& checkpoints, int64_t keep, std::string_view run_id) {
  check(keep >= 1, "retain: {} checkpoints to keep, expected at least 1", keep);
  or_warn([&] {
    const auto latest = pointed(checkpoints, "latest"), best = pointed(checkpoints, "best");
    std::vector<int64_t> steps = committed_steps(checkpoints);
    for (int64_t kept = 0; !steps.empty() && kept < keep; steps.pop_back()) {
      const bool looks_intact = or_warn([&] { check_sizes(checkpoints / step_name(steps.back())); });
      if (looks_intact) ++kept;
    }
    for (const int64_t step : steps) {
      if (step == latest || step == best) continue;
      const fs::path path = checkpoints / step_name(step);
      const fs::path removed = temporary_name(path, run_id, ".removed");
      remove_tree(removed);
      rename_entry(path, removed);
      sync_folder(checkpoints, Exit::weights);  // before anything in it is gone
      remove_tree(removed);
    }
  });
}

}  // namespace trainer::checkpoint
