// What the CPU backend runs on.
#pragma once

#include <string>

namespace trainer::cpu {

/// The widest instruction set that is used here: "AVX-512 with AMX", "AVX2", ...
std::string instruction_set();
/// Instructions multiply bf16: it is faster than f32. Without them it is slower, as f16 always is, because products are
/// computed on copies in f32. (onednn.h's has_bf16(), for who has no business with oneDNN.)
bool multiplies_bf16();
/// "oneDNN 2.6.3".
std::string library_versions();

}  // namespace trainer::cpu
