#include "apps/trainer-launch/guardian.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <set>

namespace trainer::launch {
namespace {

struct Message {
  char what = 0;  ///< + watch, - forget, d folder, q quit
  pid_t group = 0;
  char folder[240]{};
};

/// The words of the command line lie behind each other in memory.
void rename_process(char** argv) {
  ::prctl(PR_SET_NAME, "trainer-guard");
  int last = 0;
  while (argv[last + 1] != nullptr) ++last;
  const size_t size = static_cast<size_t>(argv[last] - argv[0]) + std::strlen(argv[last]);
  std::memset(argv[0], 0, size);
  std::strncpy(argv[0], "trainer-guard", size);
}

[[noreturn]] void guard(const Fd& pipe, char** argv) {
  ::setsid();  // out of reach of a terminal's signals and of kill -PGID
  for (int signal = 1; signal < SIGRTMIN; ++signal) ::signal(signal, SIG_IGN);
  const Fd null(::open("/dev/null", O_RDWR));
  for (int fd = 0; fd < 3; ++fd) ::dup2(null.get(), fd);  // nobody shall wait for us to close their pipe
  if (::chdir("/") != 0) ::_exit(1);
  rename_process(argv);

  std::set<pid_t> groups;
  std::string folder;
  Message message;
  // One message a packet; the end comes when the launcher has gone.
  while (retry_eintr([&] { return ::read(pipe.get(), &message, sizeof message); }) == sizeof message) {
    if (message.what == 'q') ::_exit(0);
    if (message.what == '+') groups.insert(message.group);
    if (message.what == '-') groups.erase(message.group);
    if (message.what == 'd') folder = message.folder;
  }
  for (const pid_t group : groups) ::kill(-group, SIGKILL);
  std::error_code ignored;
  if (!folder.empty()) std::filesystem::remove_all(folder, ignored);
  ::_exit(0);
}

void send(const Fd& pipe, const Message& message) {
  (void)!::send(pipe.get(), &message, sizeof message, MSG_NOSIGNAL);
}

}  // namespace

Guardian::Guardian(char** argv) {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return;
  pipe_.reset(ends[0]);
  const Fd other(ends[1]);
  pid_ = ::fork();
  if (pid_ == 0) {
    pipe_.reset();
    guard(other, argv);
  }
}

Guardian::~Guardian() {
  if (pid_ <= 0) return;
  send(pipe_, {'q'});
  ::waitpid(pid_, nullptr, 0);
}

void Guardian::watch(pid_t group) const { send(pipe_, {'+', group}); }
void Guardian::forget(pid_t group) const { send(pipe_, {'-', group}); }

void Guardian::clean_up(const std::string& folder) {
  Message message{'d'};
  folder.copy(message.folder, sizeof message.folder - 1);
  send(pipe_, message);
}

}  // namespace trainer::launch
