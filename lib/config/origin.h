// Origin: who set a value of the configuration.
#pragma once

#include <cstdint>
#include <string>

namespace trainer::config {

/// Which layer set a value; a later layer wins.
struct Origin {
  enum class Layer : uint8_t {
    defaults,
    user_file,
    base_file,
    file,
    opts,
    flag,
    code
  } layer = Layer::defaults;
  std::string where;  ///< "configs/a.yaml:12:3", "--opts pair 2", "--batch-size"

  /// `where`, or "default" or "code".
  std::string str() const;
};

}  // namespace trainer::config
