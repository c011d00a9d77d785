
# Of the words "$@", those that begin with $cur.
_trainer_add() {
  local word
  for word in "$@"; do
    [[ $word == "$cur"* ]] && COMPREPLY+=("$word")
  done
}

# What the table's entry $1 lists.
_trainer_offer() {
  local word
  for word in ${_trainer_table[$1]-}; do
    case $word in
      @files | @folders)
        compopt -o filenames 2> /dev/null
        [[ $word == @files ]] && word=-f || word=-d
        mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen "$word" -- "$cur")
        ;;
      @keys | @models) _trainer_offer "${word#@}" ;;
      @*) ;;
      *) _trainer_add "$word" ;;
    esac
  done
}

_trainer() {
  local IFS=$' \t\n' rest=${COMP_LINE-} piece dropped= i last
  local -a words=()
  COMPREPLY=()
  # Readline parts words at = and : too. Those without a space between them are one of ours; it replaces the last piece.
  for ((i = 0; i <= COMP_CWORD; ++i)); do
    piece=${COMP_WORDS[i]-}
    if [[ $i -gt 0 && -n ${COMP_LINE-} && $rest == "$piece"* && $rest != [[:space:]]* ]]; then
      last=$((${#words[@]} - 1))
      dropped=${words[last]}
      words[last]+=$piece
      [[ $piece == [=:] ]] && dropped=${words[last]}
    else
      words+=("$piece")
      dropped=
    fi
    rest=${rest#"${rest%%[![:space:]]*}"}
    rest=${rest#"$piece"}
  done

  # What has been said before the cursor. state: where among the words of --opts, key or value, or empty.
  local command=trainer state= key= pending= position=1 flags= lead= name word
  local cur=${words[${#words[@]} - 1]}
  for word in "${words[@]:1:${#words[@]}-2}"; do
    if [[ $state == value ]]; then
      state=key
    elif [[ $word == --opts ]]; then
      state=key flags=1 pending=
    elif [[ $state == key && $word != --* ]]; then
      [[ $word == *=* ]] || key=$word state=value
    elif [[ -n $pending && ($word != -* || ${_trainer_table[$pending]} != @optional*) ]]; then
      pending=
    else
      state= pending=
      case $word in
        --*=*) flags=1 ;;
        -*)
          flags=1 name=$word
          [[ $word == --* ]] && name=${word//_/-}
          [[ -n ${_trainer_table[$command:$name]-} ]] && pending=$command:$name
          ;;
        *)
          if [[ -n $word && " ${_trainer_table[$command:commands]-} " == *" $word "* ]]; then
            command+=" $word" flags=
          else
            position=$((position + 1))
          fi
          ;;
      esac
    fi
  done

  if [[ $state == value ]]; then
    _trainer_offer "=$key"
  elif [[ $state == key && $cur != --* ]]; then
    if [[ $cur == *=* ]]; then
      lead=${cur%%=*}=
      cur=${cur#*=}
      _trainer_offer "=${lead%=}"
    else
      _trainer_offer keys
    fi
  elif [[ -n $pending && ($cur != -* || ${_trainer_table[$pending]} != @optional*) ]]; then
    _trainer_offer "$pending"
  elif [[ $cur == --*=* ]]; then
    lead=${cur%%=*}=
    cur=${cur#*=}
    name=${lead%=}
    _trainer_offer "$command:${name//_/-}"
  elif [[ $cur == -* ]]; then
    cur=${cur//_/-}
    _trainer_offer "$command:flags"
  else
    [[ -z $flags && $position -eq 1 ]] && _trainer_offer "$command:commands"
    _trainer_offer "$command:$position"
    _trainer_offer "$command:rest"
    [[ -z $cur && ${#COMPREPLY[@]} -eq 0 ]] && _trainer_offer "$command:flags"
  fi
  for i in "${!COMPREPLY[@]}"; do
    word=$lead${COMPREPLY[i]}
    COMPREPLY[i]=${word#"$dropped"}
  done
}

complete -F _trainer trainer
