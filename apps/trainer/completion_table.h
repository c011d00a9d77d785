// What a shell may offer where, as data: made from the tables of commands, flags and configuration keys.
#pragma once

#include <string>
#include <vector>

#include "apps/trainer/command.h"

namespace trainer::app {

/// A word to offer, or a mark: @files, @folders, @keys and @models stand for lists, @any for what nobody can list, and
/// @optional says that the flag's value may be left out.
struct Offer {
  std::string word, help = {};
};

/// `name` says where:
///   COMMAND:commands, COMMAND:flags      of "trainer", "trainer config", "trainer config diff", ...
///   COMMAND:--flag                       values; flags without an entry take none
///   COMMAND:1, COMMAND:2, COMMAND:rest   arguments
///   =KEY                                 values of a configuration key
///   keys, models                         the lists
struct Entry {
  std::string name;
  std::vector<Offer> offers;
};

std::vector<Entry> completion_table(const Command& root);

/// The values of a configuration key that are known: its choices, True and False, the components that it may name.
/// Empty if there are none, or no such key.
std::vector<std::string> known_values(const std::string& key);

}  // namespace trainer::app
