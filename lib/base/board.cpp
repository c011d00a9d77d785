#include "lib/base/board.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <mutex>
#include <type_traits>

#include "lib/base/fd.h"
#include "lib/base/system.h"

namespace trainer::board {
namespace {

constexpr uint64_t magic = 0x3164'7261'6f62'7274;  // "trboard1"

/// The status of a process: plain data, copied word by word.
struct Note {
  int64_t pid = 0, step = 0;
  double written = 0;  ///< now(): one clock for all processes of a machine
  uint64_t sequence = 0;
  uint32_t phase = 0, in_collective = 0;
  char text[120]{};  ///< ends with 0
};
constexpr size_t words = sizeof(Note) / sizeof(uint64_t);
static_assert(std::is_trivially_copyable_v<Note> && sizeof(Note) % sizeof(uint64_t) == 0);
using Words = std::array<std::atomic<uint64_t>, words>;

/// Two notes: the writer fills the one that is not current, then makes it current. Unlike with a sequence
/// lock, a complete note can be read even if a writer is stopped in the middle.
struct alignas(64) Slot {
  std::atomic<uint64_t> version;  ///< notes written so far; the current one is notes[version % 2]
  std::array<Words, 2> notes;
};

struct alignas(64) Header {
  uint64_t magic;
  int32_t ranks, first_rank;
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);

class Map {
 public:
  Map() = default;
  Map(int fd, size_t size, int protection)
      : data_(::mmap(nullptr, size, protection, MAP_SHARED, fd, 0)), size_(size) {}
  ~Map() {
    if (valid()) ::munmap(data_, size_);
  }
  Map(Map&& other) noexcept : data_(std::exchange(other.data_, MAP_FAILED)), size_(other.size_) {}
  Map& operator=(Map&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
  }

  bool valid() const { return data_ != MAP_FAILED; }
  Header& header() const { return *static_cast<Header*>(data_); }
  Slot& slot(int index) const { return reinterpret_cast<Slot*>(&header() + 1)[index]; }

 private:
  void* data_ = MAP_FAILED;
  size_t size_ = 0;
};

size_t size_of(int ranks) { return sizeof(Header) + static_cast<size_t>(ranks) * sizeof(Slot); }

/// A map of a board, or `problem`.
Map map_board(const std::string& path, int flags, std::string& problem) {
  const Fd fd(retry_eintr([&] { return ::open(path.c_str(), flags | O_CLOEXEC); }));
  struct stat info {};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) {
    problem = std::strerror(errno);
    return {};
  }
  const auto size = static_cast<size_t>(info.st_size);
  problem = "is not a board file";
  if (!S_ISREG(info.st_mode) || size < size_of(1)) return {};
  Map map(fd.get(), size, flags == O_RDWR ? PROT_READ | PROT_WRITE : PROT_READ);
  if (!map.valid()) {
    problem = std::strerror(errno);
    return {};
  }
  const Header& header = map.header();
  if (header.magic != magic || header.ranks < 1 || size_of(header.ranks) != size) return {};
  problem.clear();
  return map;
}

/// This process's slot. It stays mapped until the process ends: destructors may still write.
struct Writer {
  std::mutex mutex;  // the main thread and one that communicates
  Map map;
  int index = 0;
  Note note;
  std::atomic<bool> open = false;
};

Writer& writer() {
  static auto* one = new Writer;
  return *one;
}

void publish(Writer& w) {
  w.note.written = now();
  Slot& slot = w.map.slot(w.index);
  const auto copy = std::bit_cast<std::array<uint64_t, words>>(w.note);
  const uint64_t next = slot.version.load(std::memory_order_relaxed) + 1;
  // A reader that sees a word of the new note also sees that the note before it is current.
  std::atomic_thread_fence(std::memory_order_release);
  for (size_t i = 0; i < words; ++i) slot.notes[next % 2][i].store(copy[i], std::memory_order_relaxed);
  slot.version.store(next, std::memory_order_release);
}

template <class F>
void change(F&& f) {
  Writer& w = writer();
  if (!w.open.load(std::memory_order_acquire)) return;
  const std::lock_guard lock(w.mutex);
  f(w.note);
  publish(w);
}

Note read_slot(const Slot& slot) {
  std::array<uint64_t, words> copy{};
  // Only a note that was replaced twice during the copy is torn, so a few tries are enough. The status is for
  // messages: a torn one, after 1000 tries, is harmless.
  for (int tries = 0; tries < 1000; ++tries) {
    const uint64_t version = slot.version.load(std::memory_order_acquire);
    for (size_t i = 0; i < words; ++i) copy[i] = slot.notes[version % 2][i].load(std::memory_order_relaxed);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (slot.version.load(std::memory_order_relaxed) == version) break;
  }
  Note note = std::bit_cast<Note>(copy);
  note.text[sizeof note.text - 1] = '\0';
  return note;
}

std::vector<Entry> read(const Map& map) {
  std::vector<Entry> entries;
  if (!map.valid()) return entries;
  for (int i = 0; i < map.header().ranks; ++i) {
    const Note note = read_slot(map.slot(i));
    Entry& e = entries.emplace_back();
    e.rank = map.header().first_rank + i;
    e.pid = note.pid;
    e.phase =
        note.phase <= static_cast<uint32_t>(Phase::finished) ? static_cast<Phase>(note.phase) : Phase::none;
    e.step = note.step;
    e.sequence = note.sequence;
    e.in_collective = note.in_collective != 0;
    e.collective = note.text;
    e.seconds = note.pid == 0 ? 0 : std::max(0.0, now() - note.written);
  }
  return entries;
}

}  // namespace

std::string_view name_of(Phase phase) {
  switch (phase) {
    case Phase::none:
      return "no phase";
    case Phase::starting:
      return "starting";
    case Phase::data:
      return "data loading";
    case Phase::step:
      return "training";
    case Phase::evaluation:
      return "evaluation";
    case Phase::checkpoint:
      return "saving a checkpoint";
    case Phase::finished:
      return "finished";
  }
  return "no phase";
}

void create(const std::string& path, int ranks, int first_rank) {
  check(ranks >= 1, "board: {} ranks; expected at least 1", ranks);
  const Fd fd(retry_eintr([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600); }));
  const bool sized = fd.valid() && ::ftruncate(fd.get(), static_cast<off_t>(size_of(ranks))) == 0;
  Header header{magic, ranks, first_rank};
  check(Exit::distributed, sized && ::pwrite(fd.get(), &header, sizeof header, 0) == sizeof header,
        "{}: cannot create the board: {}", path, std::strerror(errno));
}

void open(const std::string& path, int local_rank) {
  std::string problem;
  Map map = map_board(path, O_RDWR, problem);
  check(Exit::distributed, map.valid(), "{}: cannot open the board: {}", path, problem);
  check(Exit::distributed, local_rank >= 0 && local_rank < map.header().ranks,
        "{}: no slot for local rank {} on a board for {} ranks", path, local_rank, map.header().ranks);
  Writer& w = writer();
  const std::lock_guard lock(w.mutex);
  w.map = std::move(map);
  w.index = local_rank;
  w.note = {};
  w.note.pid = ::getpid();
  w.note.phase = static_cast<uint32_t>(Phase::starting);
  publish(w);
  w.open.store(true, std::memory_order_release);
}

void enter(Phase phase, int64_t step) {
  change([&](Note& note) {
    note.phase = static_cast<uint32_t>(phase);
    note.step = step;
  });
}

void begin_collective(uint64_t sequence, std::string_view text) {
  change([&](Note& note) {
    note.sequence = sequence;
    note.in_collective = 1;
    const size_t size = std::min(text.size(), sizeof note.text - 1);
    std::copy_n(text.begin(), size, note.text);
    std::fill(note.text + size, std::end(note.text), '\0');
  });
}

void end_collective() {
  change([](Note& note) { note.in_collective = 0; });
}

std::vector<Entry> read(const std::string& path) {
  std::string ignored;
  return read(map_board(path, O_RDONLY, ignored));
}

std::vector<Entry> read() {
  Writer& w = writer();
  if (!w.open.load(std::memory_order_acquire)) return {};
  const std::lock_guard lock(w.mutex);
  return read(w.map);
}

std::string describe(const Entry& e) {
  if (e.pid == 0) return fmt::format("rank {} has not started yet", e.rank);
  if (e.phase == Phase::finished) return fmt::format("rank {} has finished", e.rank);
  std::string text = fmt::format("rank {} is ", e.rank);
  const bool step = e.phase != Phase::none && e.phase != Phase::starting;
  if (step) text += fmt::format("at step {} ", e.step);
  text += step ? fmt::format("in {}", name_of(e.phase)) : std::string("starting");
  if (e.in_collective)
    return text + fmt::format(", waiting in #{} {} for {:.1f} s", e.sequence, e.collective, e.seconds);
  if (e.sequence > 0)
    text += fmt::format(", its last collective was #{} {} (not waiting)", e.sequence, e.collective);
  return text + fmt::format(", silent for {:.1f} s", e.seconds);
}

}  // namespace trainer::board
