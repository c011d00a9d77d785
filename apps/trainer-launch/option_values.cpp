// The values of flags: numbers of workers, streams, signals.
#include <signal.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "apps/trainer-launch/options.h"
#include "lib/base/system.h"

namespace trainer::launch {
namespace {

namespace fs = std::filesystem;

// Those that a program may handle and that are not about itself.
constexpr std::array<std::pair<const char*, int>, 16> signals{{{"SIGTERM", SIGTERM},
                                                               {"SIGINT", SIGINT},
                                                               {"SIGHUP", SIGHUP},
                                                               {"SIGQUIT", SIGQUIT},
                                                               {"SIGUSR1", SIGUSR1},
                                                               {"SIGUSR2", SIGUSR2},
                                                               {"SIGXCPU", SIGXCPU},
                                                               {"SIGALRM", SIGALRM},
                                                               {"SIGKILL", SIGKILL},
                                                               {"SIGSEGV", SIGSEGV},
                                                               {"SIGABRT", SIGABRT},
                                                               {"SIGBUS", SIGBUS},
                                                               {"SIGFPE", SIGFPE},
                                                               {"SIGILL", SIGILL},
                                                               {"SIGPIPE", SIGPIPE},
                                                               {"SIGSYS", SIGSYS}}};
constexpr size_t handled_signals = 8;

}  // namespace

std::optional<int> whole_number(std::string_view text) {
  int value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  for (size_t at = 0; at <= text.size() && !text.empty();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    parts.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

StreamChoice::StreamChoice(const std::string& text, const char* flag) {
  const auto valid = [](std::optional<int> n) { return n && *n >= 0 && *n <= 3; };
  if (const auto one = whole_number(text); valid(one)) {
    all_ = *one;
    return;
  }
  for (const std::string& part : split(text, ',')) {
    const size_t colon = part.find(':');
    const auto rank = whole_number(part.substr(0, colon));
    const auto streams = colon == part.npos ? std::nullopt : whole_number(part.substr(colon + 1));
    check(Exit::usage, rank && *rank >= 0 && valid(streams),
          "{} {}: expected 0 (none), 1 (stdout), 2 (stderr), 3 (both), or these by local rank as in 0:1,1:2",
          flag, text);
    by_rank_[*rank] = *streams;
  }
}

int StreamChoice::of(int local_rank) const {
  const auto found = by_rank_.find(local_rank);
  return found == by_rank_.end() ? all_ : found->second;
}

std::vector<std::string> gpus() {
  if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES")) {
    auto all = split(visible, ',');
    // As CUDA reads it: the list ends at the first entry that is no device.
    all.erase(
        std::find_if(all.begin(), all.end(), [](const std::string& s) { return s.empty() || s == "-1"; }),
        all.end());
    return all;
  }
  std::vector<std::string> all;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator("/dev", ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("nvidia") && whole_number(name.substr(6))) all.push_back(std::to_string(all.size()));
  }
  return all;
}

int worker_count(const std::string& text) {
  if (const auto number = whole_number(text)) {
    check(Exit::usage, *number >= 1, "--nproc-per-node {}: at least one worker is needed", text);
    return *number;
  }
  const int devices = static_cast<int>(gpus().size());
  if (text == "cpu" || (text == "auto" && devices == 0)) return available_cores();
  check(Exit::usage, text == "gpu" || text == "auto",
        "--nproc-per-node {}: expected a number, auto, cpu or gpu", text);
  check(Exit::usage, devices > 0, "--nproc-per-node gpu: this machine shows no NVIDIA device");
  return devices;
}

int signal_number(const std::string& name) {
  for (size_t i = 0; i < handled_signals; ++i) {
    if (name == signals[i].first || "SIG" + name == signals[i].first) return signals[i].second;
  }
  std::string known;
  for (size_t i = 0; i < handled_signals; ++i)
    known += fmt::format("{}{}", i > 0 ? ", " : "", signals[i].first);
  fail(Exit::usage, "--signals-to-handle {}: expected names out of {}", name, known);
}

std::string signal_name(int signal) {
  for (const auto& known : signals) {
    if (known.second == signal) return known.first;
  }
  return fmt::format("signal {}", signal);
}

}  // namespace trainer::launch
