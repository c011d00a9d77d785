// Comm: collectives over the processes of a run. The implementations that a configuration can choose register
// themselves: single (a world of one), gloo (TCP). Ranks that are threads of one process: lib/comm/local.h.
//
// Every rank has to make the same calls in the same order, with the same shapes. The public calls number,
// check and announce (lib/base/board.h) what the implementations then do.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
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
/// collective (op, shape, sequence number) and the ranks that are missing, with what they do; a rank that has
/// gone is Error(Exit::distributed) that names it where that can be known; ranks that call different things
/// are Error(Exit::distributed) that says both. After an error every call throws that error again: nothing
/// but destruction is possible.
///
/// Calls may come from several threads, one at a time; their order has to be the same on every rank. A tensor
/// in the memory of a device is summed through a copy on the host (nccl, which would sum it there, is not
/// built yet).
class Comm {
 public:
  virtual ~Comm() = default;
  Comm(const Comm&) = delete;
  Comm& operator=(const Comm&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }

  /// Sums `t` over the ranks, in place: each element in the order of the ranks, so that the bits are the same
  /// on every rank and in every run with as many ranks, however the tensor is cut up. `what` is a name for
  /// messages. f32, f64, i64.
  void all_reduce(Tensor& t, std::string_view what);
  /// `t` becomes that of rank `root`. Any dtype.
  void broadcast(Tensor& t, int root, std::string_view what);
  /// The bytes of every rank, by rank; lengths may differ.
  std::vector<std::string> all_gather(std::string_view bytes, std::string_view what);
  /// Returns when all ranks have called it.
  void barrier(std::string_view what);

  /// Another Comm over the same ranks, for calls that are made beside this one's, from another thread. A
  /// collective: every rank calls it, with the same name.
  std::unique_ptr<Comm> duplicate(const std::string& name);

  /// Gives up: a call that waits on this rank and all later ones throw Error(Exit::distributed) with `why`,
  /// as do those of the other ranks ("rank 1 gave up: ..."). From any thread.
  void abort(std::string_view why);

 protected:
  Comm(int rank, int size) : rank_(rank), size_(size) {}

  /// A collective, as the implementations see it.
  struct Call {
    uint64_t sequence;   ///< counts this rank's collectives from 1
    uint64_t signature;  ///< hash of op, dtype, shape, root and name: equal on all ranks, or it is an error
    const std::string& text;  ///< "all_reduce gradients[3] f32 [6553600]"
    std::string str() const;  ///< with the number behind it
  };

 private:
  // Only called with more than one rank. They throw Error.
  virtual void do_all_reduce(const Call&, Tensor& t) = 0;
  virtual void do_broadcast(const Call&, Tensor& t, int root) = 0;
  virtual std::vector<std::string> do_all_gather(const Call&, std::string_view bytes) = 0;
  virtual void do_abort(const std::string& why) = 0;
  virtual std::unique_ptr<Comm> do_duplicate(const std::string& name) = 0;

  /// What a call's signature is made of.
  struct Pieces;
  template <class F>
  void perform(const Pieces&, F&& collective);
  const std::string& meet(const Pieces&, uint64_t signature);

  int rank_, size_;
  uint64_t sequence_ = 0;
  std::unordered_map<uint64_t, std::string> known_;  // texts of the calls made so far, by signature
  std::unique_ptr<Error> error_;
};

/// By COMM.BACKEND; keys in COMM.
using Backends = Registry<Comm, const World&>;
Backends& backends();

/// `comm` is the group COMM. A backend of auto is single for a world of one, else gloo. Throws
/// Error(Exit::usage) for a backend that is not there, Error(Exit::distributed) when the ranks do not meet.
std::unique_ptr<Comm> make_comm(const CommConfig&, const config::Node& comm, const World&);

}  // namespace trainer::comm
