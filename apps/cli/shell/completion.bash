
# Of the words "$@", those that begin with $cur.
_trainer_add() {
  local word
  for word in "$@"; do
    [[ $word == "$cur"* ]] && COMPREPLY+=("$lead$word")
  done
}

# What the table's entry $1 lists, after $lead.
_trainer_offer() {
  local word rest reply
  local -a found
  while IFS=$'\t' read -r word rest; do
    case $word in
      '') ;;
      @files | @folders)
        compopt -o filenames 2> /dev/null
        [[ $word == @files ]] && word=-f || word=-d
        mapfile -t found < <(compgen "$word" -- "$cur")
        for reply in "${found[@]}"; do COMPREPLY+=("$lead$reply"); done
        ;;
      @keys | @models) _trainer_offer "${word#@}" ;;
      @list)
        compopt -o nospace 2> /dev/null
        cur=${cur#[\"\']}
        rest=${cur##*[[,]}
        [[ $rest == "$cur" ]] && lead+=[ || lead+=${cur%"$rest"}
        cur=$rest
        ;;
      @*) ;;
      *) _trainer_add "$word" ;;
    esac
  done <<< "${_trainer_table[$1]-}"
}

# The trainer's own table, for what begins its command line.
_trainer_load() {
  [[ -n ${_trainer_table[trainer:flags]-} ]] || _comp_load trainer || _completion_loader trainer
} &> /dev/null

# What may stand in the place of the last of the words "$@"; the first is the program.
_trainer_answer() {
  local command=$1 state= key= pending= position=1 flags= program= lead= name
  local cur=${*: -1}
  _trainer_walk "${@:2:$#-2}"
  if [[ -n $program ]]; then
    set -- "${@:program+1}"
    _trainer_load
    if [[ $# -eq 1 ]]; then
      _trainer_offer "$command:program"
    elif [[ ${1##*/} == trainer ]]; then
      _trainer_answer trainer "${@:2}"
    elif [[ $1 == -* ]]; then
      _trainer_answer trainer "$@"
    else
      compopt -o default 2> /dev/null # files
    fi
    return
  fi

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
    # Words that begin with a flag of the trainer's are its command line.
    [[ -n ${_trainer_table[$command:program]-} ]] && _trainer_load && _trainer_answer trainer "$cur"
  else
    [[ -z $flags && $position -eq 1 ]] && _trainer_offer "$command:commands"
    _trainer_offer "$command:$position"
    _trainer_offer "$command:rest"
    _trainer_offer "$command:program"
    [[ -z $cur && ${#COMPREPLY[@]} -eq 0 ]] && _trainer_offer "$command:flags"
  fi
  [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *. ]] && compopt -o nospace 2> /dev/null # a group of keys
}

_@program@() {
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
  _trainer_answer @program@ "${words[@]:1}"
  for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=${COMPREPLY[i]#"$dropped"}; done
}

complete -F _@program@ @program@
