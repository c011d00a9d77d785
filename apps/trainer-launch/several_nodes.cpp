#include "apps/trainer-launch/several_nodes.h"

#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <numeric>
#include <sstream>
#include <thread>

#include "apps/trainer-launch/port.h"
#include "lib/base/log.h"
#include "lib/base/socket.h"
#include "lib/base/store.h"
#include "lib/base/system.h"

namespace trainer::launch {
namespace {

constexpr double beat_interval = 1, silence = 20;  // seconds; a launcher that is silent for so long is dead
constexpr int default_port = 29500;

/// Where the launchers meet.
std::string endpoint_of(const Options& o) {
  if (!o.rdzv_endpoint.empty()) {
    if (o.rdzv_endpoint.find(':') == std::string::npos) return join_host_port(o.rdzv_endpoint, default_port);
    return o.rdzv_endpoint;
  }
  // MASTER_PORT itself is for the workers.
  return join_host_port(o.master_addr, o.master_port.value_or(default_port) + 1);
}

std::string to_text(const Plan& plan, const std::vector<int>& first_ranks) {
  std::string text =
      fmt::format("{} {} {} {}", plan.world_size, plan.master_addr, plan.master_port, plan.store);
  for (const int rank : first_ranks) text += fmt::format(" {}", rank);
  return text;
}

class SeveralNodes final : public Nodes {
 public:
  explicit SeveralNodes(const Options& options)
      : options_(options), endpoint_(endpoint_of(options)), event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    check(Exit::usage, parse_host_port(endpoint_).port > 0, "--rdzv-endpoint {}: several nodes need a port",
          endpoint_);
    serve_if_here();
    try {
      store_ = std::make_unique<Store>(endpoint_, options.join_timeout);
    } catch (const Error& e) {
      fail(e.code(), "node 0 cannot be reached: {}", e.what());
    }
    join();
  }
  ~SeveralNodes() override { stop_watching(); }

  Plan meet(int attempt) override {
    stop_watching();
    attempt_ = attempt;
    if (attempt > 0 && store_->add(key("ready"), 1) == nodes_) store_->set(key("all-ready"), "");
    if (node_ == 0) make_plan();
    Plan plan = read_plan();
    start_watching();
    return plan;
  }

  int fd() const override { return event_.get(); }
  News news() override {
    uint64_t ignored = 0;
    (void)!::read(event_.get(), &ignored, sizeof ignored);
    const std::lock_guard lock(mutex_);
    return news_;
  }

  News announce(const News& own) override {
    try {
      if (store_->add(key("claim/news"), 1) == 1) store_->set(key("news"), text_of(own, node_));
      return parse_news(store_->get(key("news"), 10));
    } catch (const Error&) {
      return own;  // node 0 has gone
    }
  }

  void done() override {
    try {
      if (store_->add(key("done"), 1) < nodes_) return;
      News all;
      all.kind = News::Kind::all_done;
      announce(all);
    } catch (const Error&) {
      // Node 0 has gone; the watcher brings the news.
    }
  }

  void give_verdict(const Verdict& v) override {
    try {
      store_->set(key("verdict"), fmt::format("{} {}\n{}", v.code, v.permanent ? 1 : 0, v.report));
    } catch (const Error&) {
      // Nobody is left to hear it.
    }
  }

  Verdict hear_verdict() override {
    {
      const std::lock_guard lock(mutex_);
      if (!lost_.empty()) return {static_cast<int>(Exit::distributed), true, lost_};
    }
    try {
      // The other node waits for its workers first.
      const std::string text = store_->get(key("verdict"), options_.shutdown_timeout + 10);
      Verdict v;
      int permanent = 0;
      std::sscanf(text.c_str(), "%d %d", &v.code, &permanent);
      v.permanent = permanent != 0;
      v.report = text.substr(text.find('\n') + 1);
      return v;
    } catch (const Error& e) {
      return {static_cast<int>(Exit::distributed), true,
              fmt::format("error: lost the other nodes: {}", e.what())};
    }
  }

  void leave() override {
    stop_watching();
    try {
      if (store_->add("left", 1) == nodes_) store_->set("all-left", "");
      if (server_) store_->wait({"all-left"}, 5);  // the others still read what ended the run
    } catch (const Error&) {
      // Gone already.
    }
  }

 private:
  std::string key(std::string_view name) const { return fmt::format("{}/{}", attempt_, name); }

  /// static: node 0. c10d: the first launcher on the machine that the endpoint names.
  void serve_if_here() {
    const bool fixed = options_.rdzv_backend == "static";
    const std::string host = parse_host_port(endpoint_).host;
    if (!(fixed ? options_.node_rank == 0 : options_.is_host.value_or(is_local_host(host)))) return;
    try {
      server_ = std::make_unique<StoreServer>(endpoint_);
    } catch (const Error& e) {
      if (!fixed) return;  // a launcher beside us serves; if it is something else, connecting will say so
      fail(Exit::distributed, "the launchers cannot meet at {}{}: {}", endpoint_,
           options_.rdzv_endpoint.empty() ? " (--master-port + 1)" : "", e.what());
    }
  }

  /// Takes a number among the nodes.
  void join() {
    const std::string terms = fmt::format("run id {}, nnodes {}:{}, max-restarts {}", options_.rdzv_id,
                                          options_.min_nodes, options_.max_nodes, options_.max_restarts);
    if (server_) store_->set("run", terms);
    const std::string agreed = store_->get("run", options_.join_timeout);
    check(Exit::usage, agreed == terms, "this node and the run at {} disagree: {} here, {} there", endpoint_,
          terms, agreed);
    const std::string self = fmt::format("{} (pid {})", host_name(), ::getpid());
    if (options_.rdzv_backend == "static") {
      node_ = options_.node_rank;
    } else {
      if (!server_) store_->get("node/0", options_.join_timeout);  // node 0 is the one that serves
      node_ = static_cast<int>(store_->add("joined", 1)) - 1;
      check(Exit::distributed, node_ < options_.max_nodes, "the run at {} already has its {} nodes",
            endpoint_, options_.max_nodes);
    }
    if (store_->add(fmt::format("claim/{}", node_), 1) != 1) {
      const std::string other = store_->get(fmt::format("node/{}", node_), 10);
      fail(Exit::usage, "--node-rank {} is taken by {}", node_, other.substr(other.find(' ') + 1));
    }
    store_->set(fmt::format("node/{}", node_), fmt::format("{} {}", options_.workers, self));
  }

  /// Node 0: waits until all are there and says how the next start is to be.
  void make_plan() {
    if (attempt_ == 0) {
      nodes_ = wait_for_nodes();
    } else if (nodes_ > 1) {
      check(Exit::distributed, store_->wait({key("all-ready")}, options_.join_timeout).empty(),
            "not all {} nodes are ready to start again within {:.0f} s", nodes_, options_.join_timeout);
    }
    Plan plan;
    plan.master_addr = !options_.local_addr.empty()    ? options_.local_addr
                       : !options_.master_addr.empty() ? options_.master_addr
                                                       : parse_host_port(endpoint_).host;
    port_.reset();
    workers_server_.reset();
    // With an endpoint of their own for the launchers, nothing fixes the workers' port.
    const bool fixed = options_.master_port || options_.rdzv_endpoint.empty();
    port_ = std::make_unique<ReservedPort>(fixed ? std::optional(options_.master_port.value_or(default_port))
                                                 : std::nullopt);
    workers_server_ = std::make_unique<StoreServer>(join_host_port(plan.master_addr, 0));
    plan.master_port = port_->port();
    plan.store = workers_server_->address();
    std::vector<int> first_ranks{0};
    for (int node = 0; node < nodes_; ++node) {
      const std::string entry = store_->get(fmt::format("node/{}", node), 1);
      first_ranks.push_back(first_ranks.back() + std::atoi(entry.c_str()));
    }
    plan.world_size = first_ranks.back();
    store_->set(key("plan"), to_text(plan, first_ranks));
  }

  int wait_for_nodes() {
    std::vector<std::string> keys;
    for (int node = 0; node < options_.min_nodes; ++node) keys.push_back(fmt::format("node/{}", node));
    log::info("waiting for {} nodes at {}", options_.min_nodes, endpoint_);
    const auto missing = store_->wait(keys, options_.join_timeout);
    if (!missing.empty()) {
      std::string list;
      for (const std::string& name : missing)
        list += (list.empty() ? "" : ", ") + name.substr(name.find('/') + 1);
      fail(Exit::distributed, "node {} did not join within {:.0f} s", list, options_.join_timeout);
    }
    int nodes = options_.min_nodes;
    // A last call for more than the least.
    const double end = now() + options_.last_call_timeout;
    while (nodes < options_.max_nodes && store_->wait({fmt::format("node/{}", nodes)}, end - now()).empty())
      ++nodes;
    return nodes;
  }

  Plan read_plan() {
    // Node 0 decides when the time is over: it waits as long as we, and began earlier.
    std::istringstream text(
        store_->get(key("plan"), options_.join_timeout + options_.last_call_timeout + 10));
    Plan plan;
    plan.attempt = attempt_;
    plan.node = node_;
    text >> plan.world_size >> plan.master_addr >> plan.master_port >> plan.store;
    std::vector<int> first_ranks;
    for (int rank = 0; text >> rank;) first_ranks.push_back(rank);
    nodes_ = plan.nodes = static_cast<int>(first_ranks.size()) - 1;
    check(Exit::distributed, node_ < nodes_, "the run at {} has begun with {} nodes, without this one",
          endpoint_, nodes_);
    plan.first_rank = first_ranks[static_cast<size_t>(node_)];
    return plan;
  }

  static std::string text_of(const News& n, int node) {
    return fmt::format("{} {} {}", static_cast<int>(n.kind), n.signal, node);
  }
  News parse_news(const std::string& text) const {
    int kind = 0, node = 0;
    News n;
    std::sscanf(text.c_str(), "%d %d %d", &kind, &n.signal, &node);
    n.kind = static_cast<News::Kind>(kind);
    n.ours = node == node_;
    return n;
  }

  /// A thread that shows the others that we live, and waits for news of them.
  void start_watching() {
    watching_ = true;
    {
      const std::lock_guard lock(mutex_);
      news_ = {};
    }
    sigset_t all, before;  // signals are for the main thread
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    watcher_ = std::thread([this] { watch(); });
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  void stop_watching() {
    watching_ = false;
    if (watcher_.joinable()) watcher_.join();
  }

  void watch() {
    std::vector<std::pair<int64_t, double>> beats(static_cast<size_t>(nodes_), {-1, now()});
    try {
      while (watching_) {
        store_->add(fmt::format("beat/{}", node_), 1);
        for (int node = 0; server_ && node < nodes_; ++node) {
          const int64_t beat = store_->add(fmt::format("beat/{}", node), 0);
          auto& [last, when] = beats[static_cast<size_t>(node)];
          if (beat != last) {
            last = beat;
            when = now();
          } else if (now() - when > silence) {
            const std::string who = store_->get(fmt::format("node/{}", node), 1);
            return lose(fmt::format("error: node {}, {}, does not answer any more", node,
                                    who.substr(who.find(' ') + 1)));
          }
        }
        const double end = now() + beat_interval;
        while (watching_ && now() < end) {
          if (!store_->wait({key("news")}, 0.1).empty()) continue;
          return bring(parse_news(store_->get(key("news"), 1)));
        }
      }
    } catch (const Error& e) {
      lose(fmt::format("error: lost the launcher of node 0: {}", e.what()));
    }
  }

  void bring(const News& n) {
    const std::lock_guard lock(mutex_);
    news_ = n;
    const uint64_t one = 1;
    (void)!::write(event_.get(), &one, sizeof one);
  }

  /// Another launcher has gone.
  void lose(const std::string& why) {
    News failure;
    failure.kind = News::Kind::failure;
    failure.ours = true;
    failure = announce(failure);
    if (failure.ours) {
      give_verdict({static_cast<int>(Exit::distributed), true, why});
      const std::lock_guard lock(mutex_);
      lost_ = why;
    }
    failure.ours = false;  // the workers here have done nothing
    bring(failure);
  }

  const Options& options_;
  std::string endpoint_;
  Fd event_;
  std::unique_ptr<StoreServer> server_;  ///< node 0: where the launchers meet
  std::unique_ptr<Store> store_;
  int node_ = 0, nodes_ = 1, attempt_ = 0;
  std::unique_ptr<ReservedPort> port_;           ///< node 0: of the current start
  std::unique_ptr<StoreServer> workers_server_;  ///< node 0: of the current start

  std::thread watcher_;
  std::atomic<bool> watching_ = false;
  std::mutex mutex_;
  News news_;
  std::string lost_;
};

}  // namespace

std::unique_ptr<Nodes> make_several_nodes(const Options& options) {
  return std::make_unique<SeveralNodes>(options);
}

}  // namespace trainer::launch
