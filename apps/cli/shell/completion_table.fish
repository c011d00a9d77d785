function _trainer_entry
  set -l at (contains -i -- $argv[1] $__trainer_names)
  if test -n "$at"
    set -g __trainer_texts[$at] $argv[2]
  else
    set -ga __trainer_names $argv[1]
    set -ga __trainer_texts $argv[2]
  end
end

