// What `trainer bench` prints.
#pragma once

#include "apps/trainer/bench_sides.h"

namespace trainer::app::bench {

/// Machine, versions, and how it is measured; where there is no PyTorch, why.
void print_heading(const Measuring&, int64_t rounds);

/// The table's first line.
void print_columns();

/// Ours, PyTorch as installed and in its fastest mode (which may be that one), and what is missing; with
/// ratios, PyTorch's figure over ours.
void print_result(const Result&);

/// The names for --list: a table, or JSON.
void print_rows(bool as_json);

/// All that was measured, one document. `words` are those of the command line.
std::string json_text(const Measuring&, int64_t rounds, const std::vector<std::string>& words,
                      const std::vector<Result>&);

}  // namespace trainer::app::bench
