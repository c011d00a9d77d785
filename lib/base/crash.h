// A crash handler: writes the signal and a backtrace to stderr.
#pragma once

namespace trainer {

/// On SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT writes "error: crashed with SIGSEGV ..." and the innermost
/// frames to stderr, then lets the signal take its default effect. Allocates nothing when that happens, and
/// works after a stack overflow of the thread that called this. To be called once, by main.
void install_crash_handler();

}  // namespace trainer
