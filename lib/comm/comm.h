// Comm: collectives over the processes of a run. The implementations register themselves: single (one
// process), local (threads of one process), gloo (TCP).
//
// Every rank has to make the same calls in the same order, with the same shapes. The public calls number,
// check and announce (lib/base/board.h) what the implementations then do.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/world.h"
#include "lib/registry/registry.h"
#include "lib/tensor/tensor.h"

namespace trainer::comm {

/// Keys of COMM.
struct CommConfig {
  std::string backend = "auto";
  double timeout = 300;  ///< seconds that a collective may wait for the other ranks
  void fields(config::Fields&);
};

/// Errors of every call: a rank that has not come within the timeout is Error(Exit::watchdog) that names the
/// collective (sequence number, op, shape) and the ranks that are missing, with what they do; a rank that has
/// gone is Error(Exit::distributed) that names it where that can be known; ranks that call different things
/// are Error(Exit::distributed) that says both. After an error nothing but destruction is possible.
///
/// Calls may come from several threads, one at a time; their order has to be the same on every rank.
class Comm {
 public:
  virtual ~Comm() = default;

  int rank() const { return rank_; }
  int size() const { return size_; }

  /// Sums `t` over the ranks, in place; the same bits on every rank and in every run with as many ranks.
  /// `what` is a name for messages. f32, f64, i64.
  void all_reduce(Tensor& t, std::string_view what);
  /// `t` becomes that of rank `root`. Any dtype.
  void broadcast(Tensor& t, int root, std::string_view what);
  /// The bytes of every rank, by rank; lengths may differ.
  std::vector<std::string> all_gather(std::string_view bytes, std::string_view what);
  /// Returns when all ranks have called it.
  void barrier(std::string_view what);

 protected:
  Comm(int rank, int size) : rank_(rank), size_(size) {}

 private:
  virtual void do_all_reduce(Tensor& t) = 0;
  virtual void do_broadcast(Tensor& t, int root) = 0;
  virtual std::vector<std::string> do_all_gather(std::string_view bytes) = 0;

  int rank_, size_;
};

/// By COMM.BACKEND; auto is single for a world of one, else gloo.
using Backends = Registry<Comm, const World&>;
Backends& backends();
std::unique_ptr<Comm> make_comm(const CommConfig&, const config::Node& node, const World&);

}  // namespace trainer::comm
