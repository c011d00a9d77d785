// MANIFEST.json: what a committed step directory has to hold, byte for byte.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "lib/base/file.h"

namespace trainer::checkpoint {

inline constexpr std::string_view manifest_name = "MANIFEST.json";

/// One file beside the manifest.
struct FileRecord {
  uint64_t bytes = 0;
  std::string xxh3_128;  ///< as Hasher::digest() and xxhsum -H2 print it
};

struct Manifest {
  static constexpr int64_t current_format = 1;

  int64_t format = current_format;
  int64_t step = 0;
  int64_t world_size = 1;
  std::string config_hash;                  ///< whatever the caller compares on resume
  std::map<std::string, FileRecord> files;  ///< by name

  /// Ends in a checksum of itself.
  std::string text() const;
};

/// Reads DIR/MANIFEST.json alone. Throws Error(Exit::weights) that says what is wrong with it: not there,
/// changed after it was written, of another format version.
Manifest read_manifest(const fs::path& dir);

/// The manifest, its files all there with their sizes: what can be seen without reading them.
Manifest check_sizes(const fs::path& dir);

/// The same, and every byte is the one that was written. Error(Exit::weights) names the first file that is
/// not and says how.
Manifest validate(const fs::path& dir);

}  // namespace trainer::checkpoint
