#include "lib/base/log.h"

#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/dist_sink.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <map>
#include <memory>
#include <mutex>

#include "lib/base/error.h"
#include "lib/base/system.h"

namespace trainer::log {
namespace {

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warn:
      return spdlog::level::warn;
    case Level::error:
      break;
  }
  return spdlog::level::err;
}

std::string_view prefix_of(spdlog::level::level_enum level, bool color) {
  if (level == spdlog::level::warn) return color ? "\x1b[1;33mwarning:\x1b[0m " : "warning: ";
  if (level == spdlog::level::err) return color ? "\x1b[1;31merror:\x1b[0m " : "error: ";
  return "";
}

void write_to_stderr(std::string_view text) {
  while (!text.empty()) {
    const ssize_t n = ::write(STDERR_FILENO, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;  // stderr is closed: not a reason to stop
    text.remove_prefix(static_cast<size_t>(n));
  }
}

class TerminalSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void set_overlay(Overlay* overlay) {
    const std::lock_guard lock(mutex_);
    overlay_ = overlay;
  }

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    std::string line(prefix_of(message.level, wants_color(STDERR_FILENO)));
    line.append(message.payload.data(), message.payload.size());
    line += '\n';
    if (overlay_ != nullptr) overlay_->erase();
    write_to_stderr(line);
    if (overlay_ != nullptr) overlay_->redraw();
  }
  void flush_() override {}

  Overlay* overlay_ = nullptr;
};

/// Everything behind the functions of log.h; it lives until the process ends, because destructors may log.
struct Log {
  std::shared_ptr<TerminalSink> terminal = std::make_shared<TerminalSink>();
  std::shared_ptr<spdlog::sinks::dist_sink_mt> sinks = std::make_shared<spdlog::sinks::dist_sink_mt>();
  spdlog::logger logger{"trainer", sinks};
  std::mutex files_mutex;
  std::map<std::string, spdlog::sink_ptr> files;

  Log() {
    terminal->set_level(spdlog::level::info);
    sinks->add_sink(terminal);
    logger.set_level(spdlog::level::debug);
    logger.flush_on(spdlog::level::debug);  // lines are rare, and the last ones before a crash matter most
    logger.set_error_handler([](const std::string& what) {
      static std::atomic<bool> told = false;
      if (!told.exchange(true)) write_to_stderr("warning: the log is incomplete: " + what + "\n");
    });
  }
};

Log& instance() {
  static auto* log = new Log;
  return *log;
}

}  // namespace

void write(Level level, std::string_view line) {
  instance().logger.log(to_spdlog(level), spdlog::string_view_t(line.data(), line.size()));
}

void add_file(const std::string& path) {
  Log& log = instance();
  const std::lock_guard lock(log.files_mutex);
  if (log.files.contains(path)) return;
  spdlog::sink_ptr file;
  try {
    file = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path);
  } catch (const spdlog::spdlog_ex& e) {
    fail(Exit::usage, "cannot write the log: {}", e.what());
  }
  file->set_formatter(std::make_unique<spdlog::pattern_formatter>("[%Y-%m-%d %H:%M:%S.%e] [%l] %v"));
  log.sinks->add_sink(file);
  log.files.emplace(path, std::move(file));
}

void remove_file(const std::string& path) {
  Log& log = instance();
  const std::lock_guard lock(log.files_mutex);
  const auto file = log.files.find(path);
  if (file == log.files.end()) return;
  log.sinks->remove_sink(file->second);
  log.files.erase(file);
}

void set_quiet(bool quiet) {
  instance().terminal->set_level(quiet ? spdlog::level::warn : spdlog::level::info);
}

void set_overlay(Overlay* overlay) { instance().terminal->set_overlay(overlay); }

}  // namespace trainer::log
