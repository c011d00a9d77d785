
# What the table's entry $1 lists, each word with its meaning.
_trainer_offer() {
  local -a found
  local line
  for line in ${(f)_trainer_table[$1]}; do
    case $line in
      @files) _files ;;
      @folders) _files -/ ;;
      @keys|@models) _trainer_offer ${line#@} ;;
      @*) ;;
      *) found+=($line) ;;
    esac
  done
  (( $#found )) && _describe -t values value found
}

_trainer() {
  # What has been said before the cursor. state: where among the words of --opts, key or value, or empty.
  local command=trainer state= key= pending= position=1 flags= name word
  for word in "${(@)words[2,CURRENT-1]}"; do
    if [[ $state == value ]]; then
      state=key
    elif [[ $word == --opts ]]; then
      state=key flags=1 pending=
    elif [[ $state == key && $word != --* ]]; then
      [[ $word == *=* ]] || { key=$word state=value }
    elif [[ -n $pending && ( $word != -* || $_trainer_table[$pending] != @optional* ) ]]; then
      pending=
    else
      state= pending=
      case $word in
        --*=*) flags=1 ;;
        -*)
          flags=1 name=$word
          [[ $word == --* ]] && name=${word//_/-}
          [[ -n $_trainer_table[${command}:$name] ]] && pending=${command}:$name
          ;;
        *)
          name="${command}:commands"
          if [[ -n ${(M)${(f)_trainer_table[$name]}:#${word}:*} ]]; then
            command+=" $word" flags=
          else
            position=$((position + 1))
          fi
          ;;
      esac
    fi
  done

  local cur=$PREFIX
  if [[ $state == value ]]; then
    _trainer_offer "=$key"
  elif [[ $state == key && $cur != --* ]]; then
    if [[ $cur == *=* ]]; then
      key=${cur%%=*}
      compset -P '*='
      _trainer_offer "=$key"
    else
      _trainer_offer keys
    fi
  elif [[ -n $pending && ( $cur != -* || $_trainer_table[$pending] != @optional* ) ]]; then
    _trainer_offer "$pending"
  elif [[ $cur == --*=* ]]; then
    name=${cur%%=*}
    compset -P '*='
    _trainer_offer "${command}:${name//_/-}"
  elif [[ $cur == -* ]]; then
    PREFIX=${cur//_/-}
    _trainer_offer "${command}:flags"
  else
    [[ -z $flags && $position -eq 1 ]] && _trainer_offer "${command}:commands"
    _trainer_offer "${command}:$position"
    _trainer_offer "${command}:rest"
    [[ -z $cur && $compstate[nmatches] -eq 0 ]] && _trainer_offer "${command}:flags"
  fi
}

# Loaded from a folder of $fpath it is called at once; sourced, it has yet to be made known.
if [[ $funcstack[1] == _trainer ]]; then
  _trainer "$@"
else
  compdef _trainer trainer
fi
