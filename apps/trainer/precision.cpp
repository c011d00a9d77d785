#include "apps/trainer/precision.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "lib/backend/cpu/info.h"
#include "lib/base/log.h"

namespace trainer::app {
namespace {

using Layer = config::Origin::Layer;

/// Keys that say the same, in words, and the latest layer in which one of them was set.
struct Said {
  std::vector<std::string> texts = {};
  Layer latest = Layer::defaults;

  void add(const config::Config& config, std::string_view key, std::string_view text) {
    const config::Origin& origin = config.origin(key);
    texts.push_back(
        fmt::format("{} {}{}", key, text, origin.layer == Layer::defaults ? "" : " (" + origin.str() + ")"));
    latest = std::max(latest, origin.layer);
  }
  std::string str() const { return fmt::format("{}", fmt::join(texts, " and ")); }
};

/// Why a run is in f32 although keys ask for 16 bits; "" if none does, or if a later layer has taken that back, as
/// --disable-amp does.
std::string unheard(const config::Config& config, const train::AmpSettings& amp, Device device) {
  Said wish, no;
  std::vector<std::string> remedy;
  const auto refuses = [&](std::string_view key, std::string_view text, std::string_view instead) {
    no.add(config, key, text);
    remedy.push_back(fmt::format("{} {}", key, instead));
  };
  const bool narrow = nn::parse_precision(true, "", amp.dtype, device).mixed();
  if (narrow && amp.dtype != "auto") wish.add(config, "AMP.DTYPE", amp.dtype);
  if (!amp.level.empty() && amp.level != "O0") wish.add(config, "AMP_OPT_LEVEL", amp.level);
  if (!amp.enable) refuses("AMP_ENABLE", "is False", "True");
  if (amp.level == "O0") refuses("AMP_OPT_LEVEL", "is O0", "O1");
  if (!narrow) refuses("AMP.DTYPE", amp.dtype == "auto" ? "auto is f32 here" : "is f32", "bf16");
  if (wish.texts.empty() || no.texts.empty() || no.latest > wish.latest) return "";
  return fmt::format("{} without effect: {}, so everything is computed in f32. For mixed precision set {}",
                     wish.str(), no.str(), fmt::join(remedy, " "));
}

/// What to know of a 16-bit type on this CPU; "" if it is fast.
std::string_view slowness(DType type) {
  if (type == DType::bf16)
    return cpu::multiplies_bf16()
               ? ""
               : ", which this processor has no instructions for: every product converts to f32 "
                 "and back. f32 is the fast type here (AMP_ENABLE False)";
  return cpu::multiplies_bf16()
             ? ", which is slow on a CPU: bf16 is the fast type here"
             : ", which is slow on a CPU: every product converts to f32 and back. f32 is the fast "
               "type here (AMP_ENABLE False)";
}

}  // namespace

void report_precision(const config::Config& config, const train::Settings& s, const Process& process,
                      const nn::Precision& precision) {
  const Device device = process.device;
  if (precision.mixed()) {
    log::info("mixed precision: {}{}", precision.str(),
              device.kind == Device::Kind::cpu ? slowness(precision.compute) : "");
  } else if (const std::string why = unheard(config, s.amp, device);
             !why.empty() && process.world.rank == 0) {
    log::warn("{}", why);
  }
}

}  // namespace trainer::app
