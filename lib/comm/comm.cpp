#include "lib/comm/comm.h"

#include <algorithm>
#include <array>

#include "lib/base/board.h"

namespace trainer::comm {
namespace {

const bool declared = (config::declare("COMM", CommConfig{}), true);

/// 64-bit FNV-1a.
class Hash {
 public:
  void add(const void* data, size_t bytes) {
    for (const auto* p = static_cast<const unsigned char*>(data); bytes > 0; --bytes, ++p) {
      value_ = (value_ ^ *p) * 0x100000001b3;
    }
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xcbf29ce484222325;
};

/// Of the calls in which ranks tell each other what they are about to call for the first time.
constexpr uint64_t introduction = 1;

/// The implementations work in host memory: what lies elsewhere is copied there and back.
template <class F>
void on_host(Tensor& t, F&& collective) {
  if (t.device().is_host()) return collective(t);
  Tensor copy = t.to(Device{});
  collective(copy);
  t.copy_from(copy);
}

constexpr std::array<std::string_view, 2> planned = {"nccl", "shm"};

}  // namespace

void CommConfig::fields(config::Fields& f) {
  f("BACKEND", backend,
    "gloo (TCP) or auto, which is gloo where there are several ranks; nccl and shm are not built yet");
  f("TIMEOUT", timeout,
    "how long a collective may wait for the other ranks before the run ends, naming those that are missing",
    {.min = 0, .min_open = true, .unit = "s"});
}

/// `t` is nullptr for calls that take none.
struct Comm::Pieces {
  std::string_view op, what;
  const Tensor* t = nullptr;
  int root = -1;

  uint64_t signature() const {
    Hash hash;
    hash.add(op.data(), op.size());
    hash.add(what.data(), what.size());
    hash.add(&root, sizeof root);
    if (t != nullptr) {
      const DType dtype = t->dtype();
      hash.add(&dtype, sizeof dtype);
      hash.add(t->shape().begin(), static_cast<size_t>(t->rank()) * sizeof(int64_t));
    }
    return hash.value();
  }

  std::string text() const {
    std::string all(op);
    if (!what.empty()) all.append(" ").append(what);
    if (t != nullptr) all += fmt::format(" {} {}", name_of(t->dtype()), t->shape());
    if (root >= 0) all += fmt::format(" from rank {}", root);
    return all;
  }

  void check_tensor() const { check(t->defined(), "{} {}: there is no tensor", op, what); }
};

std::string Comm::Call::str() const { return fmt::format("{} (#{})", text, sequence); }

/// The text of a call; the first time, all ranks make sure that they are about to do the same.
const std::string& Comm::meet(const Pieces& pieces, uint64_t signature) {
  const auto found = known_.find(signature);
  if (found != known_.end()) return found->second;
  const std::string& text = known_.emplace(signature, pieces.text()).first->second;
  board::begin_collective(sequence_, text);
  const std::vector<std::string> texts = do_all_gather({sequence_, introduction, text}, text);
  const auto other = std::ranges::find_if(texts, [&](const std::string& t) { return t != texts[0]; });
  if (other != texts.end()) {
    fail(Exit::distributed, "ranks call different things (#{}): rank 0 {}, rank {} {}", sequence_, texts[0],
         other - texts.begin(), *other);
  }
  return text;
}

template <class F>
void Comm::perform(const Pieces& pieces, F&& collective) {
  if (error_) throw Error(*error_);
  ++sequence_;
  const uint64_t signature = pieces.signature();
  try {
    const Call call{sequence_, signature, meet(pieces, signature)};
    board::begin_collective(sequence_, call.text);
    collective(call);
  } catch (const Error& error) {
    error_ = std::make_unique<Error>(error);
    throw;
  }
  board::end_collective();  // after an error the board goes on saying where it happened
}

void Comm::all_reduce(Tensor& t, std::string_view what) {
  const Pieces pieces{"all_reduce", what, &t};
  pieces.check_tensor();
  check(t.dtype() == DType::f32 || t.dtype() == DType::f64 || t.dtype() == DType::i64,
        "all_reduce {}: {} is not summed; f32, f64 and i64 are", what, name_of(t.dtype()));
  if (size_ == 1) return;
  on_host(t, [&](Tensor& host) { perform(pieces, [&](const Call& call) { do_all_reduce(call, host); }); });
}

void Comm::broadcast(Tensor& t, int root, std::string_view what) {
  const Pieces pieces{"broadcast", what, &t, root};
  pieces.check_tensor();
  check(root >= 0 && root < size_, "broadcast {}: there is no rank {} of {}", what, root, size_);
  if (size_ == 1) return;
  on_host(t,
          [&](Tensor& host) { perform(pieces, [&](const Call& call) { do_broadcast(call, host, root); }); });
}

std::vector<std::string> Comm::all_gather(std::string_view bytes, std::string_view what) {
  if (size_ == 1) return {std::string(bytes)};
  std::vector<std::string> all;
  perform({"all_gather", what}, [&](const Call& call) { all = do_all_gather(call, bytes); });
  return all;
}

void Comm::barrier(std::string_view what) {
  if (size_ > 1) perform({"barrier", what}, [&](const Call& call) { do_all_gather(call, {}); });
}

std::unique_ptr<Comm> Comm::duplicate(const std::string& name) {
  barrier("duplicate " + name);
  return do_duplicate(name);
}

void Comm::abort(std::string_view why) {
  if (size_ > 1) do_abort(std::string(why));
}

Backends& backends() {
  static Backends all("communication backend", "COMM");
  return all;
}

std::unique_ptr<Comm> make_comm(const CommConfig& config, const config::Node& comm, const World& world) {
  std::string name = config.backend == "auto" ? "gloo" : config.backend;
  check(Exit::usage, std::ranges::find(planned, name) == planned.end(),
        "COMM.BACKEND {} is known but not implemented yet; gloo and auto are", name);
  check(Exit::usage, name != "gloo" || world.size == 1 || backends().has(name),
        "COMM.BACKEND {}: this build has no gloo (its library was not there when it was configured: "
        "libgloo-dev), which a world of {} ranks needs",
        config.backend, world.size);
  if (name == "gloo" && world.size == 1) name = "single";
  return backends().make(name, comm, world);
}

}  // namespace trainer::comm
