#include "lib/comm/local.h"

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>

#include "lib/comm/sum.h"

namespace trainer::comm {

/// One collective at a time: every rank hands in what it has, the last to come does the work for all.
class LocalHub::State {
 public:
  State(int size, double timeout) : ranks_(static_cast<size_t>(size)), timeout_(timeout) {}

  int size() const { return static_cast<int>(ranks_.size()); }

  void join(int rank) {
    const std::lock_guard lock(mutex_);
    check(Exit::distributed, rank >= 0 && rank < size(), "there is no rank {} of {}", rank, size());
    Slot& slot = ranks_[static_cast<size_t>(rank)];
    check(Exit::distributed, !slot.joined, "rank {} is there twice", rank);
    slot.joined = true;
  }

  void leave(int rank) {
    const std::lock_guard lock(mutex_);
    ranks_[static_cast<size_t>(rank)].gone = true;
    changed_.notify_all();
  }

  void abort(int rank, const std::string& why) {
    const std::lock_guard lock(mutex_);
    break_off(Exit::distributed, fmt::format("rank {} gave up: {}", rank, why));
  }

  /// `mine` and `length` are this rank's bytes. `work` gets those of all ranks once all are there, and runs
  /// on one of their threads while the others wait.
  using Bytes = std::span<std::byte>;
  void meet(int rank, uint64_t sequence, uint64_t signature, const std::string& text, Bytes mine,
            const std::function<void(std::span<const Bytes>)>& work) {
    std::unique_lock lock(mutex_);
    raise();
    Slot& slot = ranks_[static_cast<size_t>(rank)];
    slot.waits = true;
    slot.sequence = sequence;
    slot.signature = signature;
    slot.text = text;
    slot.bytes = mine;
    const uint64_t round = round_;
    if (++arrived_ == size()) {
      finish(work);
    } else {
      wait(lock, slot, round);
    }
    slot.waits = false;
    if (round_ == round) raise();
  }

 private:
  struct Slot {
    bool joined = false, gone = false, waits = false;
    uint64_t sequence = 0, signature = 0;
    std::string text;
    Bytes bytes;
  };

  void finish(const std::function<void(std::span<const Bytes>)>& work) {
    for (size_t r = 1; r < ranks_.size(); ++r) {
      if (ranks_[r].signature == ranks_[0].signature && ranks_[r].sequence == ranks_[0].sequence) continue;
      return break_off(Exit::distributed, fmt::format("ranks call different things: rank 0 {}, rank {} {}",
                                                      call(ranks_[0]), r, call(ranks_[r])));
    }
    parts_.clear();
    for (const Slot& slot : ranks_) parts_.push_back(slot.bytes);
    work(parts_);
    arrived_ = 0;
    ++round_;
    changed_.notify_all();
  }

  void wait(std::unique_lock<std::mutex>& lock, const Slot& slot, uint64_t round) {
    const auto settled = [&] {
      if (round_ != round || error_) return true;
      for (size_t r = 0; r < ranks_.size(); ++r) {
        if (!ranks_[r].gone || ranks_[r].waits) continue;
        break_off(Exit::distributed, fmt::format("rank {} is gone: {} cannot be completed", r, call(slot)));
        return true;
      }
      return false;
    };
    if (changed_.wait_for(lock, std::chrono::duration<double>(timeout_), settled)) return;
    std::string missing;
    for (size_t r = 0; r < ranks_.size(); ++r) {
      const Slot& other = ranks_[r];
      if (other.waits) continue;
      missing += fmt::format("{}rank {} ({})", missing.empty() ? "" : ", ", r,
                             !other.joined        ? "has not joined"
                             : other.text.empty() ? "has called nothing yet"
                                                  : "its last collective was " + call(other));
    }
    break_off(Exit::watchdog, fmt::format("{} has waited {:g} s for {}", call(slot), timeout_, missing));
  }

  static std::string call(const Slot& slot) { return fmt::format("{} (#{})", slot.text, slot.sequence); }

  void break_off(Exit code, const std::string& why) {
    if (!error_) error_ = std::make_unique<Error>(code, why);
    changed_.notify_all();
  }
  void raise() const {
    if (error_) throw Error(*error_);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Slot> ranks_;
  std::vector<Bytes> parts_;
  double timeout_;
  int arrived_ = 0;
  uint64_t round_ = 0;
  std::unique_ptr<Error> error_;
};

class LocalHub::Rank final : public Comm {
 public:
  Rank(State& state, int rank) : Comm(rank, state.size()), state_(state) { state_.join(rank); }
  ~Rank() override { state_.leave(rank()); }

 private:
  using Bytes = State::Bytes;

  static Bytes bytes_of(Tensor& t) { return {t.raw(), t.bytes()}; }

  void do_all_reduce(const Call& call, Tensor& t) override {
    meet(call, bytes_of(t), [&t](std::span<const Bytes> all) {
      std::vector<const std::byte*> parts;
      for (const Bytes& part : all) parts.push_back(part.data());
      sum_in_order(t.dtype(), parts, all[0].data(), static_cast<size_t>(t.numel()));
      spread(all, 0);
    });
  }

  void do_broadcast(const Call& call, Tensor& t, int root) override {
    meet(call, bytes_of(t), [root](std::span<const Bytes> all) { spread(all, static_cast<size_t>(root)); });
  }

  std::vector<std::string> do_all_gather(const Call& call, std::string_view bytes) override {
    std::string mine(bytes);
    // Each rank's vector is filled by whoever came last, so all hand in where theirs is.
    struct Hand {
      std::string_view bytes;
      std::vector<std::string> all;
    } hand{mine, {}};
    meet(call, std::as_writable_bytes(std::span(&hand, 1)), [](std::span<const Bytes> all) {
      const auto at = [&](size_t r) { return reinterpret_cast<Hand*>(all[r].data()); };
      for (size_t to = 0; to < all.size(); ++to) {
        for (size_t from = 0; from < all.size(); ++from) at(to)->all.emplace_back(at(from)->bytes);
      }
    });
    return std::move(hand.all);
  }

  void do_abort(const std::string& why) override { state_.abort(rank(), why); }

  void meet(const Call& call, Bytes mine, const std::function<void(std::span<const Bytes>)>& work) {
    state_.meet(rank(), call.sequence, call.signature, call.text, mine, work);
  }

  static void spread(std::span<const Bytes> all, size_t from) {
    for (size_t r = 0; r < all.size(); ++r) {
      if (r != from && !all[r].empty()) std::memcpy(all[r].data(), all[from].data(), all[from].size());
    }
  }

  State& state_;
};

LocalHub::LocalHub(int size, double timeout) : state_(std::make_unique<State>(size, timeout)) {}
LocalHub::~LocalHub() = default;

std::unique_ptr<Comm> LocalHub::join(int rank) { return std::make_unique<Rank>(*state_, rank); }

}  // namespace trainer::comm
