#include "apps/trainer/arguments.h"

#include <algorithm>

#include "lib/base/error.h"

namespace trainer::app {
namespace {

/// --batch_size=64 is --batch-size=64.
std::string normalised(std::string word) {
  if (word.starts_with("--")) std::replace(word.begin(), std::find(word.begin(), word.end(), '='), '_', '-');
  return word;
}

}  // namespace

Arguments take_opts(const std::vector<std::string>& words) {
  Arguments result;
  for (size_t i = 0; i < words.size();) {
    if (words[i] != "--opts") {
      result.flags.push_back(normalised(words[i++]));
      continue;
    }
    for (++i; i < words.size() && !words[i].starts_with("--");) {
      const std::string& key = words[i];
      if (const auto equals = key.find('='); equals != key.npos) {
        result.opts.insert(result.opts.end(), {key.substr(0, equals), key.substr(equals + 1)});
        i += 1;
      } else {
        check(Exit::usage, i + 1 < words.size(),
              "--opts: key {} has no value (pairs of KEY VALUE are expected)", key);
        result.opts.insert(result.opts.end(), {key, words[i + 1]});
        i += 2;
      }
    }
  }
  return result;
}

}  // namespace trainer::app
