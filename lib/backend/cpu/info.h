// What the CPU backend runs on.
#pragma once

#include <string>

namespace trainer::cpu {

/// The widest instruction set that is used here: "AVX-512 with AMX", "AVX2", ...
std::string instruction_set();
/// "oneDNN 2.6.3".
std::string library_versions();

}  // namespace trainer::cpu
