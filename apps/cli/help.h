// What --help prints.
#pragma once

#include <string>

#include "apps/cli/command.h"

namespace trainer::cli {

/// `path`: the words that name the command, "trainer config diff".
std::string help_text(const Command&, const std::string& path);

/// "trainer predict --input FILE --output FILE [OPTIONS]"; `emphasise` marks what is to be typed as it stands, `vary`
/// what stands for something else.
std::string synopsis(const Command&, const std::string& path,
                     const std::function<std::string(const std::string&)>& emphasise,
                     const std::function<std::string(const std::string&)>& vary);

}  // namespace trainer::cli
