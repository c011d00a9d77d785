
# For bash and zsh alike, in which some things differ: ${command}:x, because zsh takes $command:x for something else.

# Whether the table's entry $1 lists the word $2.
_trainer_has() {
  [[ $'\n'${_trainer_table[$1]-} == *$'\n'"$2"$'\t'* ]]
}

# Goes through the words "$@" between the program's name and the cursor. Sets variables of the caller:
#   command   "trainer", "trainer config", ...
#   state     among the words of --opts: key or value, which comes next; else empty
#   key       the key whose value comes next
#   pending   the table's entry of the flag whose value comes next
#   position  of the argument that comes next, from 1
#   flags     not empty after the first flag
#   program   where among "$@", from 1, another program's command line begins; else empty
_trainer_walk() {
  local word name seen=0
  for word in "$@"; do
    seen=$((seen + 1))
    if [[ $state == value ]]; then
      state=key
      continue
    elif [[ $state == key && $word != --* ]]; then
      [[ $word == *=* ]] || { key=$word; state=value; }
      continue
    elif [[ -n $pending ]] && [[ $word != -* || ${_trainer_table[$pending]} != @optional* ]]; then
      pending=
      continue
    fi
    state= pending=
    name=${word%%=*}
    [[ $name == --* ]] && name=${name//_/-}
    if [[ -n ${_trainer_table[${command}:program]-} ]]; then
      if [[ $word == -- ]]; then
        program=$((seen + 1))
        return
      elif [[ $word != -?* ]] || ! _trainer_has "${command}:flags" "$name"; then
        program=$seen
        return
      fi
    fi
    if [[ $word == -* ]]; then
      flags=1
      if [[ $word == --opts ]]; then
        state=key
      elif [[ $word != --*=* && -n ${_trainer_table[${command}:$name]-} ]]; then
        pending=${command}:$name
      fi
    elif [[ -n $word ]] && _trainer_has "${command}:commands" "$word"; then
      command="$command $word" flags=
    else
      position=$((position + 1))
    fi
  done
}
