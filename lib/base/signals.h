// Signals as requests: a run that is asked to end saves first.
#pragma once

namespace trainer::signals {

/// From now on SIGTERM and SIGINT ask the run to save and end, and SIGUSR1 asks it to save and go on. A
/// second SIGTERM or SIGINT (later than 50 ms after the first: the same may come by several ways) ends the
/// process at once, with exit code 128 + its number. SIGPIPE is ignored: a reader of the output that goes
/// away does not end a training.
void install();

struct Requests {
  int stop = 0;       ///< SIGTERM or SIGINT, the first that came; 0: neither
  bool save = false;  ///< SIGUSR1 has come since the last call
};
/// What has been asked for. A request to save is handed out once, one to stop stays.
Requests take();

}  // namespace trainer::signals
