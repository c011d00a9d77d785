#include "lib/base/error.h"

#include <string_view>

namespace trainer::detail {

void throw_error(Exit code, fmt::string_view text, fmt::format_args args, const char* file, int line) {
  std::string message = fmt::vformat(text, args);
  if (code == Exit::internal) {
    std::string_view path = file;
    if (const auto root = path.rfind("/lib/"); root != path.npos) path.remove_prefix(root + 1);
    message += fmt::format(" [{}:{}]", path, line);
  }
  throw Error(code, message);
}

}  // namespace trainer::detail
