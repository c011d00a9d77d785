// What a crash leaves behind: the signal and a backtrace on stderr instead of nothing.
#pragma once

namespace trainer {

/// On SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT writes "error: crashed with SIGSEGV ..." and the innermost
/// frames to stderr, then lets the signal take its usual effect. Works on an overflown stack of the calling
/// thread, allocates nothing when it happens. To be called once, by main.
void install_crash_handler();

}  // namespace trainer
