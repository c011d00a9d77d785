// The board: a shared-memory file in which each process of a node keeps its current status. When a run hangs,
// the launcher and the other ranks can say which process is stuck, at which step and in which collective.
//
//   board::open(world.board, world.local_rank);             // once; without it the calls below do nothing
//   board::enter(board::Phase::data, step);
//   board::begin_collective(812, "all_reduce gradients[3] f32 [6553600]");
//   board::end_collective();
//
// A write is a few stores into the process's own slot: cheap enough for every step. Each slot has two notes
// (double buffering), so a reader always finds a complete one, even if the writer is stopped in the middle of
// a write.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/error.h"

namespace trainer::board {

enum class Phase : uint32_t { none, starting, data, step, evaluation, checkpoint, finished };
std::string_view name_of(Phase);

/// Creates a board for `ranks` processes, the first of which has global rank `first_rank`. The file must not
/// exist. Throws Error(Exit::distributed).
void create(const std::string& path, int ranks, int first_rank);
/// Opens a board for writing into slot `local_rank`. Throws Error(Exit::distributed) if it is not a board or
/// has no such slot.
void open(const std::string& path, int local_rank);

void enter(Phase, int64_t step);
/// `sequence` counts this process's collectives from 1. Texts longer than 119 bytes are cut.
void begin_collective(uint64_t sequence, std::string_view text);
void end_collective();

/// The content of a slot.
struct Entry {
  int rank = 0;
  int64_t pid = 0;  ///< 0: no process has opened it yet
  Phase phase = Phase::none;
  int64_t step = 0;
  uint64_t sequence = 0;  ///< of the last collective that began
  bool in_collective = false;
  std::string collective;  ///< the text of that collective
  double seconds = 0;      ///< since its last write
};
/// All slots of a board; empty if it cannot be read.
std::vector<Entry> read(const std::string& path);
/// All slots of the board that this process has open; empty if none.
std::vector<Entry> read();

/// "rank 2 is at step 812 in data loading, its last collective was #4409 all_reduce ... (not waiting)"
std::string describe(const Entry&);

}  // namespace trainer::board
