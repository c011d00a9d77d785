// Completion in shells: what may be offered where, as data, and the scripts for bash, zsh and fish that carry it. The
// data is made from the tables of commands and flags; no shell starts the program when Tab is pressed.
#pragma once

#include <string>
#include <vector>

#include "apps/cli/command.h"

namespace trainer::cli {

/// A word to offer, or a mark: @files, @folders, @keys and @models stand for lists, @any for what nobody can list,
/// @optional says that the flag's value may be left out, @list that the words that follow are elements of [A,B,...].
struct Offer {
  std::string word, help = {};
};

/// `name` says where:
///   COMMAND:commands, COMMAND:flags      of "trainer", "trainer config", "trainer config diff", ...
///   COMMAND:--flag                       values; flags without an entry take none
///   COMMAND:1, COMMAND:2, COMMAND:rest   arguments
///   COMMAND:program                      the first word of another program's command line
///   =KEY                                 values of a configuration key
///   keys, models                         the lists
struct Entry {
  std::string name;
  std::vector<Offer> offers;
};

/// A mark or word each.
std::vector<Offer> as_offers(const std::vector<std::string>& words);

/// The entries of a command and its subcommands.
std::vector<Entry> entries_of(const Command& root);

/// The script for "bash", "zsh" or "fish". `how` is the command that writes it, for its first line. The scripts of
/// several programs may be read into one shell.
std::string completion_script(const std::string& shell, const std::string& program, const std::string& how,
                              const std::vector<Entry>&);

}  // namespace trainer::cli
