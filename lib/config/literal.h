// Python literals, as ast.literal_eval reads them. yacs applies it to every string value.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lib/config/value.h"

namespace trainer::config {

/// None, True, False, numbers (1_000, 0x10, .5, 1e-8), quoted strings, lists and tuples (`1,2` is one).
/// nullopt if `text` is anything else: a plain word, a dict, bytes, a complex number, an integer beyond 64
/// bits, nesting deeper than 64, or more than 100,000 values.
std::optional<Value> parse_literal(std::string_view text);

/// The double of a well-formed decimal text ([sign] digits, point, exponent); inf on overflow.
double parse_double(const std::string& text);

/// `text` as a Python string literal in single quotes; parse_literal gives it back.
std::string quote_literal(std::string_view text);

}  // namespace trainer::config
