// bash with a completion script read in, and what it offers.
#pragma once

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "tests/catch.h"
#include "tests/support/process.h"

inline std::vector<std::string> lines_of_text(const std::string& text) {
  std::vector<std::string> lines;
  std::stringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

inline bool is_installed(const std::string& program) {
  return Process({"sh", "-c", "command -v " + program}).wait().code == 0;
}

class Bash {
 public:
  using Words = std::vector<std::string>;
  explicit Bash(const std::string& text) { std::ofstream(script_) << text; }

  std::string script() const { return script_.string(); }

  /// The lines that `code` prints.
  Words run(const std::string& code) const {
    const Outcome result = Process({"bash", "--norc", "-c", "source \"$0\"\n" + code, script()}).wait();
    INFO(code << "\n" << result.err);
    REQUIRE(result.code == 0);
    CHECK(result.err.empty());
    return lines_of_text(result.out);
  }

  /// What is offered for the last of `words`, as bash itself takes `line` apart ("": without the line). words[0] is the
  /// program.
  Words offers(const Words& words, const std::string& line = "") const {
    std::string code = "COMP_WORDS=(";
    for (const std::string& word : words) code += " '" + word + "'";
    code += ") COMP_CWORD=" + std::to_string(words.size() - 1) + " COMP_LINE='" + line +
            "' COMP_POINT=" + std::to_string(line.size()) + "\n_" + words[0] +
            "\n[[ ${#COMPREPLY[@]} = 0 ]] || printf '%s\\n' \"${COMPREPLY[@]}\"";
    return run(code);
  }

  /// The words of an entry of the table.
  Words entry(const std::string& name) const {
    return run(
        "while IFS=$'\\t' read -r word _; do [[ -z $word ]] || echo \"$word\"; done <<< "
        "\"${_trainer_table['" +
        name + "']-}\"");
  }

 private:
  TempFolder folder_;
  std::filesystem::path script_ = folder_ / "completion.bash";
};
