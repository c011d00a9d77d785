#include "lib/config/problems.h"

#include <algorithm>

#include "lib/base/error.h"
#include "lib/base/text.h"

namespace trainer::config {

void Problems::add(std::string_view where, std::string_view key, std::string_view what) {
  if (is_full()) {
    ++more_;
    return;
  }
  std::string line;
  if (!where.empty()) line.append(where).append(": ");
  if (!key.empty()) line.append(printable(key)).append(": ");
  line += printable(what, 1000);  // words of the file are in it, too
  // Two components may read one key, and two files may share a base: once is enough.
  if (std::find(lines_.begin(), lines_.end(), line) == lines_.end()) lines_.push_back(std::move(line));
}

void Problems::raise() const {
  if (lines_.empty()) return;
  std::string message;
  for (const std::string& line : lines_) message += (message.empty() ? "" : "\n") + line;
  if (more_ > 0) message += fmt::format("\n... and {} more problems", more_);
  throw Error(Exit::usage, message);
}

}  // namespace trainer::config
