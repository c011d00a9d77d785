#include "lib/nn/precision.h"

#include "lib/ops/elementwise.h"

namespace trainer::nn {

DType Precision::type_of(const Parameter& p) const {
  if (!mixed() || p.value().dtype() != DType::f32 || p.role == Role::norm) return p.value().dtype();
  return p.role == Role::product || level != Level::O1 ? compute : DType::f32;
}

std::string Precision::str() const {
  if (!mixed()) return "f32";
  return fmt::format("{} (O{})", name_of(compute), static_cast<int>(level));
}

Precision parse_precision(bool enabled, std::string_view level, std::string_view type, Device device) {
  Precision p;
  if (!level.empty()) {
    const bool known = level.size() == 2 && level[0] == 'O' && level[1] >= '0' && level[1] <= '3';
    check(Exit::usage, known, "AMP_OPT_LEVEL '{}' is none of O0, O1, O2, O3", level);
    p.level = static_cast<Precision::Level>(level[1] - '0');
  }
  DType compute = device.kind == Device::Kind::cuda ? DType::f16 : DType::f32;
  if (type != "auto") compute = parse_dtype(type);
  check(Exit::usage, compute == DType::f32 || size_of(compute) == 2,
        "AMP.DTYPE {}: expected f32, bf16 or f16", type);
  if (enabled && p.level != Precision::Level::O0) p.compute = compute;
  return p;
}

void set_precision(Module& model, const Precision& precision) {
  for (const auto& [name, p] : parameters(model)) {
    p->compute = precision.compute;
    const DType type = precision.type_of(*p);
    const Tensor value = p->value();
    const bool narrow = type != value.dtype(), rounded = !precision.keeps_masters() && p->role == Role::norm;
    p->master = narrow ? value : Tensor();
    p->var = Var(narrow ? ops::cast(value, type) : value);
    if (rounded) p->var = Var(ops::cast(ops::cast(value, precision.compute), type));
  }
}

}  // namespace trainer::nn
