// The protocol between client and server of a store (lib/base/store.h). Numbers are little endian.
//
//   client: the 8 bytes of client_greeting          server: the 8 bytes of server_greeting
//   client: u32 length of the rest, u8 Op, fields   server: u32 length of the rest, u8 Status, payload
//
//   set    key, value to the end         ->
//   get    u64 microseconds, key         -> ok: the value; missing
//   wait   u64 microseconds, keys        -> the keys that are missing
//   add    key, i64                      -> i64, the sum
//   erase  key                           -> u8, whether it was there
//
// A key is a u32 length and bytes. The payload of Status::failure is a message.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace trainer::store {

inline constexpr std::string_view client_greeting = "trainer>", server_greeting = "<storage";
inline constexpr uint32_t max_message = 64U << 20U, max_key = 4096;

enum class Op : uint8_t { set = 1, get, wait, add, erase };
enum class Status : uint8_t { ok, missing, failure };

template <class T>
void put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
inline void put_key(std::string& out, std::string_view key) {
  put(out, static_cast<uint32_t>(key.size()));
  out += key;
}

/// Reads fields from the front of a message. Once one is missing, ok() is false and all further ones are
/// empty.
class Fields {
 public:
  explicit Fields(std::string_view message) : rest_(message) {}
  template <class T>
  T number() {
    T value{};
    const std::string_view bytes = take(sizeof value);
    if (ok_) std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }
  std::string_view key() {
    const auto size = number<uint32_t>();
    if (size == 0 || size > max_key) ok_ = false;
    return take(size);
  }
  std::string_view rest() { return take(rest_.size()); }
  bool ok() const { return ok_; }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view take(size_t size) {
    if (!ok_ || size > rest_.size()) {
      ok_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view front = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return front;
  }

  std::string_view rest_;
  bool ok_ = true;
};

}  // namespace trainer::store
