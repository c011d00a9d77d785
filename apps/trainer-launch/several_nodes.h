// A run on several nodes: the launchers meet at a store that one of them serves (node 0).
//
// Keys: run (what all have to agree on), joined (how many came, c10d), claim/<node> and node/<node> (who is
// it), then per start a: ready/<a>, plan/<a>, claim/<a>/news, news/<a>, done/<a>, verdict/<a>; beat/<node>
// grows while a launcher lives; left counts those that are about to end.
#pragma once

#include <memory>

#include "apps/trainer-launch/nodes.h"

namespace trainer::launch {

std::unique_ptr<Nodes> make_several_nodes(const Options&);

}  // namespace trainer::launch
