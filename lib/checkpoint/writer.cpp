#include "lib/checkpoint/writer.h"

#include <utility>

#include "lib/base/log.h"
#include "lib/checkpoint/step_directory.h"

namespace trainer::checkpoint {
namespace {

bool is_intact(const fs::path& dir) {
  std::error_code error;
  if (!fs::exists(fs::symlink_status(dir, error))) return false;
  try {
    validate(dir);
    return true;
  } catch (const Error& e) {
    log::warn("checkpoint {} is broken and replaced: {}", dir.string(), e.what());
    return false;
  }
}

}  // namespace

Writer::Writer(WriterConfig config) : config_(std::move(config)), thread_([this] { run(); }) {}

Writer::~Writer() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !job_; });
    stopped_ = true;
  }
  changed_.notify_all();
  thread_.join();
  try {
    if (error_) std::rethrow_exception(error_);
  } catch (const std::exception& e) {
    log::error("{}", e.what());
  }
}

void Writer::reserve(std::span<const Item> model, std::span<const Item> state) {
  wait();
  std::vector<Item> items(model.begin(), model.end());
  items.insert(items.end(), state.begin(), state.end());
  start([this, bytes = Snapshot::bytes_for(items)] { snapshot_.reserve(bytes); });
}

void Writer::save(SaveRequest request) {
  wait();
  if (request.step != committed_) {
    std::vector<Item> items = std::move(request.model);
    const auto models = static_cast<std::ptrdiff_t>(items.size());
    items.insert(items.end(), request.state.begin(), request.state.end());
    const std::vector<Item> copies = snapshot_.take(items);
    request.model.assign(copies.begin(), copies.begin() + models);
    request.state.assign(copies.begin() + models, copies.end());
  }
  start([this, request = std::move(request)] { write(request); });
}

void Writer::check_errors() {
  const std::lock_guard lock(mutex_);
  rethrow();
}

void Writer::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !job_; });
  rethrow();
}

void Writer::rethrow() {
  if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
}

void Writer::start(std::function<void()> job) {
  const std::lock_guard lock(mutex_);
  job_ = std::move(job);
  changed_.notify_all();
}

void Writer::run() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [&] { return stopped_ || job_; });
    if (!job_) return;
    lock.unlock();
    std::exception_ptr error;
    try {
      job_();
    } catch (...) {  // whatever it is, it belongs to the training thread
      error = std::current_exception();
    }
    lock.lock();
    job_ = nullptr;
    error_ = error;
    changed_.notify_all();
  }
}

void Writer::write(const SaveRequest& request) {
  const fs::path dir = config_.checkpoints / step_name(request.step);
  if (request.step != committed_ && !is_intact(dir)) {
    StepDirectory step(config_.checkpoints, request.step, config_.run_id);
    step.write("model.safetensors", request.model);
    step.write("state.safetensors", request.state);
    step.write("state.json", request.state_json);
    step.commit(config_.world_size, config_.config_hash);
  }
  committed_ = request.step;
  point(config_.checkpoints, "latest", request.step);
  if (request.best) point(config_.checkpoints, "best", request.step);
  retain(config_.checkpoints, config_.keep, config_.run_id);
}

}  // namespace trainer::checkpoint
