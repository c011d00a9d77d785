// The Error that a call throws, for tests of its exit code and message.
#pragma once

#include <string>

#include "lib/base/error.h"
#include "tests/catch.h"

/// Error(Exit::ok, "nothing was thrown") if f throws none.
template <class F>
trainer::Error error_of(F&& f) {
  try {
    f();
  } catch (const trainer::Error& e) {
    return e;
  }
  return {trainer::Exit::ok, "nothing was thrown"};
}

/// Its message. The test fails if it has another code.
template <class F>
std::string message_of(F&& f, trainer::Exit code) {
  const trainer::Error e = ::error_of(f);
  CHECK(e.code() == code);
  return e.what();
}
