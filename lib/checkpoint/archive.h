// Archive: named values to and from JSON text. One function both writes and reads, so that the two cannot
// drift apart:
//
//   void Counter::state(Archive& a) { a("step", step_), a("best", best_); }
//
//   Archive out;                              Archive in(text, "step-00001200/state.json");
//   counter.state(out);                       counter.state(in);
//   std::string text = out.text();
//
// Every value comes back bit for bit: numbers are written with as many digits as they need, what JSON lacks
// (infinities, NaN with its payload) as strings. Values keep the order in which they were written.
#pragma once

#include <concepts>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trainer::checkpoint {

class Archive {
 public:
  /// For writing.
  Archive();
  /// For reading what text() gave. Throws Error(Exit::weights) that names `file` if it is not a JSON object.
  Archive(std::string_view text, std::string file);
  ~Archive();
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;

  bool reading() const;
  /// The names of the group that is open, in their order.
  std::vector<std::string> keys() const;

  /// Writes `value` under `key`, or reads it. Reading throws Error(Exit::weights) that names file and key
  /// ("optimizer.step") if there is no such key, or a value of another type or out of T's range; what the
  /// caller holds is then unchanged. Keys that nobody asks for are ignored.
  void operator()(std::string_view key, bool& value);
  void operator()(std::string_view key, int64_t& value);
  void operator()(std::string_view key, uint64_t& value);
  void operator()(std::string_view key, double& value);
  void operator()(std::string_view key, std::string& value);
  void operator()(std::string_view key, std::optional<double>& value);  ///< null if there is none
  void operator()(std::string_view key, std::vector<std::string>& value);

  /// Values inside of an object of their own: f(Archive&).
  template <class F>
  void group(std::string_view key, F&& f) {
    const Group inside(*this, key);
    f(*this);
  }
  /// The state of a part of the program, which has the same kind of function.
  template <class T>
  requires requires(T& part, Archive& a) { part.state(a); }
  void operator()(std::string_view key, T& part) {
    group(key, [&](Archive& a) { part.state(a); });
  }

  /// What was written: indented JSON, the same for the same values.
  std::string text() const;

 private:
  class Group {
   public:
    Group(Archive& archive, std::string_view key) : archive_(archive) { archive_.enter(key); }
    ~Group() { archive_.leave(); }
    Group(const Group&) = delete;
    Group& operator=(const Group&) = delete;

   private:
    Archive& archive_;
  };
  struct Document;

  void enter(std::string_view key);
  void leave();
  template <class T>
  void field(std::string_view key, T& value);

  std::unique_ptr<Document> document_;
};

}  // namespace trainer::checkpoint
