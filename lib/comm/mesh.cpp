#include "lib/comm/mesh.h"

#include <algorithm>
#include <cstring>

#include "lib/comm/sum.h"

namespace trainer::comm {
namespace {

constexpr size_t largest_segment = size_t{1} << 20;
constexpr size_t scratch_limit = size_t{16} << 20;        // for the segments of all ranks
constexpr size_t small_bytes = size_t{64} << 10;          // tensors up to here are sent as a whole
constexpr size_t inline_bytes = 4096 - sizeof(uint64_t);  // of all_gather: sent with the length

/// Messages of different calls, or of different steps of a call, never meet.
uint64_t slot(uint64_t sequence, uint64_t signature, uint64_t step) {
  return ((signature ^ (sequence * 0x9e3779b97f4a7c15)) & ~uint64_t{7}) | step;
}

}  // namespace

Mesh::Mesh(int rank, int size, std::unique_ptr<Transport> transport)
    : Comm(rank, size),
      transport_(std::move(transport)),
      segment_(std::min(largest_segment, scratch_limit / 2 / static_cast<size_t>(size))),
      in_(static_cast<size_t>(size)),
      out_(static_cast<size_t>(size)) {
  segment_ = std::max(segment_ / 64 * 64, small_bytes);
  scratch_ = std::make_unique_for_overwrite<std::byte[]>(static_cast<size_t>(size) * 2 * segment_);
  each_peer([&](int p) {
    in_[static_cast<size_t>(p)] = transport_->port(p, scratch(p), 2 * segment_);
    out_[static_cast<size_t>(p)] = transport_->port(p, scratch(this->rank()), 2 * segment_);
  });
}

template <class F>
void Mesh::each_peer(F&& f) {
  for (int p = 0; p < size(); ++p) {
    if (p != rank()) f(p);
  }
}

template <class F>
void Mesh::run(const Call& call, F&& collective) {
  transport_->begin(call.sequence, call.text);
  collective();
  transport_->end();
}

void Mesh::do_all_reduce(const Call& call, Tensor& t) {
  if (t.numel() == 0) return;
  run(call, [&] { t.bytes() <= small_bytes ? reduce_whole(call, t) : reduce_in_parts(call, t); });
}

void Mesh::reduce_whole(const Call& call, Tensor& t) {
  const uint64_t all = slot(call.sequence, call.signature, 0);
  std::memcpy(scratch(rank()), t.raw(), t.bytes());
  each_peer([&](int p) { in_[static_cast<size_t>(p)]->receive(all, 0, t.bytes()); });
  each_peer([&](int p) { out_[static_cast<size_t>(p)]->send(all, 0, t.bytes()); });
  each_peer([&](int p) { in_[static_cast<size_t>(p)]->wait_received(); });
  parts_.clear();
  for (int r = 0; r < size(); ++r) parts_.push_back(scratch(r));
  sum_in_order(t.dtype(), parts_, t.raw(), static_cast<size_t>(t.numel()));
  each_peer([&](int p) { out_[static_cast<size_t>(p)]->wait_sent(); });
}

void Mesh::reduce_in_parts(const Call& call, Tensor& t) {
  const uint64_t gather = slot(call.sequence, call.signature, 1);
  const uint64_t spread = slot(call.sequence, call.signature, 2);
  const auto n = static_cast<size_t>(size());
  const auto count = static_cast<size_t>(t.numel());
  const size_t width = size_of(t.dtype());
  const size_t most = segment_ / width;  // elements of a segment
  const size_t segments = ((count + n - 1) / n + most - 1) / most;

  // Bytes [begin, begin + size) of t: segment s of rank r's part.
  struct Span {
    size_t begin, size;
  };
  const auto span = [&](int r, size_t s) {
    const auto i = static_cast<size_t>(r);
    const size_t stop = count * (i + 1) / n;
    const size_t begin = std::min(count * i / n + s * most, stop);
    return Span{begin * width, std::min(most, stop - begin) * width};
  };

  Ports whole(n);  // over t
  each_peer([&](int p) { whole[static_cast<size_t>(p)] = transport_->port(p, t.raw(), t.bytes()); });
  const auto exchange = [&](size_t s) {
    each_peer([&](int p) {
      in_[static_cast<size_t>(p)]->receive(gather, (s % 2) * segment_, span(rank(), s).size);
    });
    each_peer([&](int p) {
      const Span theirs = span(p, s);
      whole[static_cast<size_t>(p)]->send(gather, theirs.begin, theirs.size);
    });
  };

  // A rank's part is overwritten by its owner's sum only after the owner has got what was here.
  for (size_t s = 0; s < segments; ++s) {
    each_peer([&](int p) {
      const Span theirs = span(p, s);
      whole[static_cast<size_t>(p)]->receive(spread, theirs.begin, theirs.size);
    });
  }
  exchange(0);
  if (segments > 1) exchange(1);
  for (size_t s = 0; s < segments; ++s) {
    const Span mine = span(rank(), s);
    each_peer([&](int p) { in_[static_cast<size_t>(p)]->wait_received(); });
    parts_.clear();
    for (int r = 0; r < size(); ++r) {
      parts_.push_back(r == rank() ? t.raw() + mine.begin : scratch(r) + (s % 2) * segment_);
    }
    sum_in_order(t.dtype(), parts_, t.raw() + mine.begin, mine.size / width);
    each_peer([&](int p) { whole[static_cast<size_t>(p)]->send(spread, mine.begin, mine.size); });
    if (s + 2 < segments) exchange(s + 2);
  }
  each_peer([&](int p) {
    Port& port = *whole[static_cast<size_t>(p)];
    for (size_t s = 0; s < segments; ++s) port.wait_received();
    for (size_t s = 0; s < 2 * segments; ++s) port.wait_sent();
  });
}

void Mesh::do_broadcast(const Call& call, Tensor& t, int root) {
  if (t.numel() == 0) return;
  const uint64_t all = slot(call.sequence, call.signature, 0);
  run(call, [&] {
    if (rank() != root) {
      const auto from = transport_->port(root, t.raw(), t.bytes());
      from->receive(all, 0, t.bytes());
      return from->wait_received();
    }
    Ports to(static_cast<size_t>(size()));
    each_peer([&](int p) { to[static_cast<size_t>(p)] = transport_->port(p, t.raw(), t.bytes()); });
    each_peer([&](int p) { to[static_cast<size_t>(p)]->send(all, 0, t.bytes()); });
    each_peer([&](int p) { to[static_cast<size_t>(p)]->wait_sent(); });
  });
}

std::vector<std::string> Mesh::do_all_gather(const Call& call, std::string_view bytes) {
  const uint64_t first = slot(call.sequence, call.signature, 0);
  const uint64_t second = slot(call.sequence, call.signature, 1);
  std::vector<std::string> all(static_cast<size_t>(size()));
  run(call, [&] {
    // The length and as much as fits into a small message; most often that is all.
    const uint64_t length = bytes.size();
    const size_t head = std::min(bytes.size(), inline_bytes);
    std::memcpy(scratch(rank()), &length, sizeof length);
    std::ranges::copy(bytes.substr(0, head), reinterpret_cast<char*>(scratch(rank())) + sizeof length);
    each_peer([&](int p) { in_[static_cast<size_t>(p)]->receive(first, 0, sizeof length + inline_bytes); });
    each_peer([&](int p) { out_[static_cast<size_t>(p)]->send(first, 0, sizeof length + head); });

    Ports from(all.size()), to(all.size());
    each_peer([&](int p) {
      const auto i = static_cast<size_t>(p);
      in_[i]->wait_received();
      uint64_t size = 0;
      std::memcpy(&size, scratch(p), sizeof size);
      all[i].resize(size);
      std::memcpy(all[i].data(), scratch(p) + sizeof size, std::min<size_t>(size, inline_bytes));
      if (size <= inline_bytes) return;
      from[i] = transport_->port(p, all[i].data(), size);
      from[i]->receive(second, inline_bytes, size - inline_bytes);
    });
    all[static_cast<size_t>(rank())] = bytes;
    each_peer([&](int p) { out_[static_cast<size_t>(p)]->wait_sent(); });
    if (length > inline_bytes) {
      each_peer([&](int p) {
        const auto i = static_cast<size_t>(p);
        to[i] = transport_->port(p, all[static_cast<size_t>(rank())].data(), length);
        to[i]->send(second, inline_bytes, length - inline_bytes);
      });
      each_peer([&](int p) { to[static_cast<size_t>(p)]->wait_sent(); });
    }
    each_peer([&](int p) {
      if (from[static_cast<size_t>(p)]) from[static_cast<size_t>(p)]->wait_received();
    });
  });
  return all;
}

}  // namespace trainer::comm
