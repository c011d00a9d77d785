#include "apps/trainer-launch/report.h"

#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "apps/trainer-launch/options.h"
#include "apps/trainer-launch/spawn.h"
#include "lib/base/system.h"
#include "lib/base/text.h"

namespace trainer::launch {
namespace {

constexpr size_t most_lines = 10;

/// What trainer means by its exit codes (docs/launch.md).
std::string meaning(int code) {
  switch (static_cast<Exit>(code)) {
    case Exit::internal:
      return " (a bug)";
    case Exit::usage:
      return " (command line or configuration)";
    case Exit::data:
      return " (data)";
    case Exit::weights:
      return " (checkpoint or weights file)";
    case Exit::diverged:
      return " (training diverged)";
    case Exit::distributed:
      return " (distributed failure)";
    case Exit::interrupted:
      return " (interrupted)";
    case Exit::watchdog:
      return " (watchdog: other ranks did not come)";
    case Exit::terminated:
      return " (terminated)";
    case Exit::ok:
      break;
  }
  return "";
}

std::string local_time(const Worker& worker) {
  const auto seconds = static_cast<time_t>(worker.ended_wall);
  tm parts{};
  ::localtime_r(&seconds, &parts);
  char text[32]{};
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return fmt::format("{}.{:09}", text, worker.ended_nanoseconds);
}

/// What the ranks did, that of `root` first; equal ones together would hide their numbers, so that it is a
/// few.
std::vector<std::string> whereabouts(const Snapshot& snapshot, int root, size_t most) {
  std::vector<board::Entry> entries = snapshot.entries;
  if (std::none_of(entries.begin(), entries.end(), [](const board::Entry& e) { return e.pid != 0; }))
    return {};
  // Those that are not waiting for others hold them up.
  std::stable_sort(entries.begin(), entries.end(), [&](const board::Entry& a, const board::Entry& b) {
    return std::pair(a.rank != root, a.in_collective) < std::pair(b.rank != root, b.in_collective);
  });
  std::vector<std::string> lines;
  for (const board::Entry& e : entries) {
    const bool stopped = std::count(snapshot.stopped.begin(), snapshot.stopped.end(), e.rank) > 0;
    lines.push_back(board::describe(e) + (stopped ? " (stopped by a signal)" : ""));
  }
  if (lines.size() > most) {
    const size_t more = lines.size() - most + 1;
    lines.resize(most - 1);
    lines.push_back(fmt::format("... and {} other ranks", more));
  }
  return lines;
}

std::string json_text(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace

Snapshot Snapshot::take(const std::string& board, const std::vector<Worker>& workers) {
  Snapshot s;
  if (!board.empty()) s.entries = board::read(board);
  for (const Worker& w : workers) {
    if (w.running && state_of(w.pid) == 'T') s.stopped.push_back(w.rank);
  }
  return s;
}

std::string what_happened(const Worker& worker, const Command& command) {
  if (worker.signal() != 0) return "was killed by " + signal_name(worker.signal());
  std::string text = fmt::format("ended with exit code {}", worker.code());
  const bool trainer = command.path.ends_with("/trainer");
  if (trainer) text += meaning(worker.code());
  if (!trainer && worker.code() > 128 && worker.code() < 160)
    text += fmt::format(" (what a shell says of {})", signal_name(worker.code() - 128));
  return text;
}

std::string report_of(const Worker& root, const Scene& scene) {
  const bool shown = scene.output.error_shown(root.local_rank) && root.signal() == 0;
  std::vector<std::string> lines;
  lines.push_back(fmt::format("{}rank {} {}, {:.1f} s after its start", shown ? "" : "error: ", root.rank,
                              what_happened(root, scene.command), root.ended - root.started));
  lines.push_back(fmt::format("  on host {}, local rank {}, pid {}, at {}{}", host_name(), root.local_rank,
                              root.pid, local_time(root),
                              scene.plan.attempt > 0 ? fmt::format(", restart {}", scene.plan.attempt) : ""));
  if (root.signal() == SIGKILL) {
    const std::string memory = scene.memory.killed(root.pid);
    if (!memory.empty()) lines.push_back("  " + memory);
  }
  for (const std::string& line : whereabouts(scene.snapshot, root.rank, 4)) lines.push_back("  " + line);

  // Its own message stands above; nothing is said twice.
  if (!scene.output.error_shown(root.local_rank)) {
    std::vector<std::string> tail = scene.output.tail(root.local_rank);
    std::erase_if(tail, [](const std::string& line) { return line.empty(); });
    const size_t room = std::min<size_t>(4, most_lines - std::min(most_lines, lines.size() + 2));
    if (!tail.empty() && room > 0) lines.push_back("  the last lines of its stderr:");
    for (size_t i = tail.size() - std::min(tail.size(), room); i < tail.size(); ++i)
      lines.push_back("    " + printable(tail[i], 200));
  }
  if (!root.log_folder.empty()) lines.push_back("  its logs: " + root.log_folder);
  lines.resize(std::min(lines.size(), most_lines));
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

void write_error_file(const Worker& root, const std::string& report) {
  std::error_code ignored;
  if (root.log_folder.empty() || std::filesystem::exists(root.error_file, ignored)) return;
  std::ofstream(root.error_file) << fmt::format(
      "{{\"message\": {{\"message\": {}, \"extraInfo\": {{\"timestamp\": \"{}\", \"rank\": {}, \"pid\": {}, "
      "\"exitcode\": {}}}}}}}\n",
      json_text(report.substr(0, report.find('\n'))), static_cast<int64_t>(root.ended_wall), root.rank,
      root.pid, root.signal() != 0 ? -root.signal() : root.code());
}

}  // namespace trainer::launch
