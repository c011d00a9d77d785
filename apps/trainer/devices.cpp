// trainer devices: what nvidia-smi is for one kind, for all kinds.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "apps/trainer/command.h"
#include "apps/trainer/roofline.h"
#include "lib/backend/cpu/info.h"
#include "lib/backend/cpu/parallel.h"
#include "lib/base/system.h"
#include "lib/base/text.h"

namespace trainer::app {
namespace {

struct Flags {
  double every = 0;
  std::string query, format = "table";
  int64_t index = -1;
  bool measure = false;
};

/// A device's fields, in the order of display; --query chooses among them.
using Value = nlohmann::ordered_json;
using Row = std::vector<std::pair<std::string, Value>>;

/// A field that a device does not have is null, so that all have the same.
Row row_of(Device device, int index, bool measure) {
  const DeviceInfo info = backend(device.kind).info(device.index);
  const bool cpu = device.kind == Device::Kind::cpu;
  Row row{{"index", index},
          {"device", device.str()},
          {"name", info.name},
          {"cores", cpu ? Value(available_cores()) : Value()},
          {"instruction_set", cpu ? Value(cpu::instruction_set()) : Value()},
          {"memory.total", info.memory_total},
          {"memory.available", info.memory_available}};
  if (measure) {
    row.emplace_back("f32_gflops", std::round(measure_gflops(device)));
    row.emplace_back("copy_gbytes_per_s", std::round(measure_gbytes(device) * 10) / 10);
  }
  return row;
}

std::vector<Device> all_devices() {
  std::vector<Device> all{Device{}};
  if (!has_backend(Device::Kind::cuda)) return all;
  for (int i = 0; i < backend(Device::Kind::cuda).count(); ++i) all.push_back({Device::Kind::cuda, i});
  return all;
}

std::string text_of(const Value& value) {
  if (value.is_null()) return "";
  return value.is_string() ? value.get<std::string>() : value.dump();
}

Row select(const Row& row, const std::string& query) {
  if (query.empty()) return row;
  std::vector<std::string> known;
  for (const auto& [name, value] : row) known.push_back(name);
  Row chosen;
  std::stringstream list(query);
  for (std::string name; std::getline(list, name, ',');) {
    const auto found = std::ranges::find(row, name, [](const auto& field) { return field.first; });
    check(Exit::usage, found != row.end(), "devices: unknown field '{}'{}; known: {}", name,
          did_you_mean(name, known), [&] {
            std::string all;
            for (const auto& k : known) all += (all.empty() ? "" : ", ") + k;
            return all;
          }());
    chosen.push_back(*found);
  }
  return chosen;
}

void print_csv(const std::vector<Row>& rows, bool header) {
  if (header && !rows.empty()) {
    for (size_t i = 0; i < rows[0].size(); ++i) fmt::print("{}{}", i > 0 ? ", " : "", rows[0][i].first);
    std::puts("");
  }
  for (const Row& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) fmt::print("{}{}", i > 0 ? ", " : "", text_of(row[i].second));
    std::puts("");
  }
}

void print_json(const std::vector<Row>& rows) {
  nlohmann::ordered_json all = nlohmann::ordered_json::array();
  for (const Row& row : rows) {
    nlohmann::ordered_json object;
    for (const auto& [name, value] : row) object[name] = value;
    all.push_back(object);
  }
  std::puts(all.dump(2).c_str());
}

void print_table(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    if (&row != &rows.front()) std::puts("");
    for (const auto& [name, value] : row) {
      if (value.is_null()) continue;
      const bool bytes = name.starts_with("memory.");
      fmt::print("{:<18} {}\n", name, bytes ? human_bytes(value.get<double>()) : text_of(value));
    }
  }
}

int list(const Flags& flags) {
  const std::vector<Device> devices = all_devices();
  const auto count = static_cast<int>(devices.size());
  check(Exit::usage, flags.index < count, "-i {}: this machine has {} device{}, numbered from 0", flags.index,
        count, count == 1 ? "" : "s");
  cpu::set_threads(available_cores());
  do {
    std::vector<Row> rows;
    for (int i = 0; i < count; ++i) {
      if (flags.index < 0 || flags.index == i)
        rows.push_back(select(row_of(devices[static_cast<size_t>(i)], i, flags.measure), flags.query));
    }
    if (flags.format == "json") {
      print_json(rows);
    } else if (flags.format.starts_with("csv")) {
      print_csv(rows, flags.format == "csv");
    } else {
      print_table(rows);
    }
    std::fflush(stdout);
    if (flags.every > 0) std::this_thread::sleep_for(std::chrono::duration<double>(flags.every));
  } while (flags.every > 0);
  return 0;
}

}  // namespace

Command devices_command() {
  auto flags = std::make_shared<Flags>();
  return {.name = "devices",
          .help = "the machine's devices",
          .examples = R"(Examples:
  trainer devices
  trainer devices --query name,memory.available --format csv,noheader -l 5)",
          .flags = {seconds("-l", "again every so many seconds, until interrupted", flags->every),
                    text("--query", "FIELDS", "only these fields, separated by commas", flags->query),
                    choice("--format", "FORMAT", "table (default), csv, csv,noheader or json", flags->format,
                           {"table", "csv", "csv,noheader", "json"}),
                    number("-i", "INDEX", "only this device", flags->index, 0, 1023),
                    toggle("--measure", "also measure arithmetic and memory", flags->measure)},
          .run = [flags] { return list(*flags); }};
}

}  // namespace trainer::app
