#include "lib/checkpoint/manifest.h"

#include "lib/checkpoint/archive.h"
#include "lib/checkpoint/hash.h"

namespace trainer::checkpoint {
namespace {

void state(Manifest& m, Archive& a) {
  a("format", m.format);
  a("step", m.step), a("world_size", m.world_size), a("config_hash", m.config_hash);
  a.group("files", [&](Archive& files) {
    if (a.reading()) {
      for (const std::string& name : files.keys()) m.files[name] = {};
    }
    for (auto& entry : m.files) {
      files.group(entry.first, [&](Archive& file) {
        file("bytes", entry.second.bytes), file("xxh3_128", entry.second.xxh3_128);
      });
    }
  });
}

std::string checksum_of(Manifest m) {
  Archive a;
  state(m, a);
  const std::string text = a.text();
  Hasher hasher;
  hasher.update(std::as_bytes(std::span(text)));
  return hasher.digest();
}

std::string digest_of(const fs::path& file) {
  Hasher hasher;
  read_chunks(file, Exit::weights, [&](std::span<const std::byte> bytes) { hasher.update(bytes); });
  return hasher.digest();
}

}  // namespace

std::string Manifest::text() const {
  Manifest copy = *this;
  std::string checksum = checksum_of(copy);
  Archive a;
  state(copy, a);
  a("checksum", checksum);
  return a.text();
}

Manifest read_manifest(const fs::path& dir) {
  const fs::path file = dir / manifest_name;
  constexpr size_t most = 1 << 20;
  Archive a(read_file(file, Exit::weights, most), file.string());
  Manifest m;
  std::string checksum;
  a("format", m.format);  // before anything that another one may not have
  check(Exit::weights, m.format == Manifest::current_format, "{}: of format {}, this program reads format {}",
        file.string(), m.format, Manifest::current_format);
  state(m, a), a("checksum", checksum);
  check(Exit::weights, checksum == checksum_of(m), "{}: changed since it was written", file.string());
  return m;
}

Manifest check_sizes(const fs::path& dir) {
  Manifest m = read_manifest(dir);
  for (const auto& [name, record] : m.files) {
    const fs::path file = dir / name;
    std::error_code error;
    const fs::file_status status = fs::status(file, error);
    check(Exit::weights, fs::exists(status), "{}: missing", file.string());
    check(Exit::weights, fs::is_regular_file(status), "{}: not a regular file", file.string());
    const uint64_t bytes = fs::file_size(file, error);
    check(Exit::weights, !error, "{}: cannot read: {}", file.string(), error.message());
    check(Exit::weights, bytes == record.bytes, "{}: {} bytes long, {} were written", file.string(), bytes,
          record.bytes);
  }
  return m;
}

Manifest validate(const fs::path& dir) {
  Manifest m = check_sizes(dir);
  for (const auto& [name, record] : m.files) {
    check(Exit::weights, digest_of(dir / name) == record.xxh3_128, "{}: changed since it was written",
          (dir / name).string());
  }
  return m;
}

}  // namespace trainer::checkpoint
