// The message of an expected error.
//
//   CHECK(error_of([&] { load("a.yaml"); }) == "a.yaml: no such file");
#pragma once

#include <string>

#include "lib/base/error.h"
#include "tests/catch.h"

namespace trainer {

/// What `action` says when it fails with this exit code; anything else fails the test.
template <class Action>
std::string error_of(Action&& action, Exit code = Exit::usage) {
  try {
    action();
  } catch (const Error& e) {
    CHECK(e.code() == code);
    return e.what();
  }
  FAIL("no error");
  return "";
}

}  // namespace trainer
