#include "lib/tensor/rehearsal.h"

namespace trainer {

constinit thread_local bool Rehearsal::active_ = false;

}  // namespace trainer
