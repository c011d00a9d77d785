// The whole state of a run, between two steps: what a checkpoint holds, and how a run goes on from one.
#pragma once

#include "lib/base/file.h"
#include "lib/checkpoint/writer.h"
#include "lib/train/origin.h"
#include "lib/train/trainer.h"

namespace trainer::train {

/// Everything that continuing needs: weights and buffers, optimizer state, the trainer's counters, the state
/// of its hooks, and where it came from. The tensors share the memory of the run: they have to be copied
/// before its next step.
checkpoint::SaveRequest run_state(Trainer&, const Origin&);

/// Puts a run where the checkpoint in this step directory was made. Rank 0 reads, all others get it from
/// there, each hook its state on the ranks that have it. Changes since are judged by check_changes(). Throws
/// Error(Exit::weights) for what does not fit the model or optimizer, on every rank.
void restore(Trainer&, const Origin& now, const fs::path& checkpoint);

/// All ranks get the parameters and buffers of rank 0. Models that differ are refused.
void begin_together(nn::Model&, comm::Comm&);

/// Runs `f` on rank 0 and gives its result to every rank; an Error it throws is thrown on every rank.
std::string on_rank0(comm::Comm&, const std::function<std::string()>& f);

}  // namespace trainer::train
