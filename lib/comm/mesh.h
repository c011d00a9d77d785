// Mesh: collectives over connections between all pairs of ranks, in host memory.
//
// Every rank owns an n-th of a tensor, gets the others' values of it, sums them in the order of the ranks and
// sends the result to all: as many bytes as a ring would move, but in two steps whatever the number of ranks,
// and with sums that depend on nothing but the ranks' values. Small tensors go to everybody as a whole, in
// one step.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/comm/comm.h"
#include "lib/comm/transport.h"

namespace trainer::comm {

class Mesh : public Comm {
 public:
  Mesh(int rank, int size, std::unique_ptr<Transport>);

 private:
  using Ports = std::vector<std::unique_ptr<Port>>;  // by rank; this rank's is empty

  void do_all_reduce(const Call&, Tensor& t) override;
  void do_broadcast(const Call&, Tensor& t, int root) override;
  std::vector<std::string> do_all_gather(const Call&, std::string_view bytes) override;
  void do_abort(const std::string& why) override { transport_->give_up(why); }

  void reduce_whole(const Call&, Tensor& t);
  void reduce_in_parts(const Call&, Tensor& t);
  template <class F>
  void run(const Call&, F&& collective);
  template <class F>
  void each_peer(F&& f);
  std::byte* scratch(int r) { return scratch_.get() + static_cast<size_t>(r) * 2 * segment_; }

  std::unique_ptr<Transport> transport_;
  size_t segment_;                        // bytes of an owner's part that are on their way at once
  std::unique_ptr<std::byte[]> scratch_;  // two segments for each rank
  Ports in_;                              // over the rank's scratch
  Ports out_;                             // over this rank's scratch
  std::vector<const std::byte*> parts_;   // of a sum
};

}  // namespace trainer::comm
