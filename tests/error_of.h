// The expected error of a call.
//
//   CHECK(error_of([&] { load("a.yaml"); }) == "a.yaml: no such file");
#pragma once

#include <string>

#include "lib/base/error.h"
#include "tests/catch.h"

namespace trainer {

/// What `action` throws; Error(Exit::ok, "nothing was thrown") if it throws none.
template <class Action>
Error thrown_by(Action&& action) {
  try {
    action();
  } catch (const Error& e) {
    return e;
  }
  return {Exit::ok, "nothing was thrown"};
}

/// What `action` says when it fails with this exit code; anything else fails the test.
template <class Action>
std::string error_of(Action&& action, Exit code = Exit::usage) {
  const Error e = thrown_by(action);
  CHECK(e.code() == code);
  return e.what();
}

}  // namespace trainer
