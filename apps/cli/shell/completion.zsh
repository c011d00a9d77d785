
# What the table's entry $1 lists, each word with its meaning.
_trainer_offer() {
  local -a found options
  local line word
  for line in ${(f)_trainer_table[$1]-}; do
    word=${line%%$'\t'*} line=${line#*$'\t'}
    case $word in
      @files) _files ;;
      @folders) _files -/ ;;
      @keys|@models) _trainer_offer ${word#@} ;;
      @list)
        if [[ $PREFIX == *[\[,]* ]]; then compset -P '*[\[,]'; else options=(-P '['); fi
        options+=(-S '')
        ;;
      @*) ;;
      *) found+=(${word//:/\\:}${line:+:$line}) ;;
    esac
  done
  (( $#found )) && _describe -t values value found $options
}

_@program@() {
  local command=@program@ state= key= pending= position=1 flags= program= name
  _trainer_walk "${(@)words[2,CURRENT-1]}"

  local cur=$PREFIX
  if [[ -n $program ]]; then
    # The other program's own completion, as after sudo or env.
    words=("${(@)words[program+1,-1]}")
    (( CURRENT -= program ))
    if [[ $words[1] == -* ]]; then
      words=(trainer "${(@)words}")
      (( CURRENT += 1 ))
    fi
    if (( CURRENT == 1 )); then _trainer_offer "${command}:program"; else _normal; fi
    return
  fi
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
    # Words that begin with a flag of the trainer's are its command line.
    if [[ -n ${_trainer_table[${command}:program]-} ]]; then
      words=(trainer "$cur")
      CURRENT=2
      _normal
    fi
  else
    [[ -z $flags && $position -eq 1 ]] && _trainer_offer "${command}:commands"
    _trainer_offer "${command}:$position"
    _trainer_offer "${command}:rest"
    _trainer_offer "${command}:program"
    [[ -z $cur && $compstate[nmatches] -eq 0 ]] && _trainer_offer "${command}:flags"
  fi
}

# Loaded from a folder of $fpath it is called at once; sourced, it has yet to be made known.
if [[ $funcstack[1] == _@program@ ]]; then
  _@program@ "$@"
else
  compdef _@program@ @program@
fi
