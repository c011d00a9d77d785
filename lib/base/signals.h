// Signals as requests that the training loop polls, so that a run that is asked to stop saves first.
//
//   signals::install();
//   while (!done) { train_step(); if (signals::take().stop) { save(); break; } }
#pragma once

namespace trainer::signals {

/// Installs the handlers. SIGTERM and SIGINT ask the run to save and stop, SIGUSR1 to save and go on. A
/// second SIGTERM or SIGINT ends the process at once with exit code 128 + its number, unless it comes within
/// 50 ms of the first (one request may be delivered twice). SIGPIPE is ignored: closing the output does not
/// end a run.
void install();

struct Requests {
  int stop = 0;       ///< SIGTERM or SIGINT, whichever came first; 0: neither
  bool save = false;  ///< SIGUSR1 has come since the last call
};
/// The requests so far. `save` is reported once, `stop` stays.
Requests take();

}  // namespace trainer::signals
