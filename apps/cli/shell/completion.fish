
# The lines of the table's entry $argv[1], a word and its meaning each.
function __trainer_table
  set -l at (contains -i -- $argv[1] $__trainer_names)
  and string split -n \n -- $__trainer_texts[$at] | string replace -r '\t$' ''
end

# Whether it lists the word $argv[2].
function __trainer_has
  contains -- $argv[2] (__trainer_table $argv[1] | string replace -r '\t.*' '')
end

# What the table's entry $argv[1] lists, each word after $argv[2] ("--flag=", "KEY=") if that is given.
function __trainer_offer
  set -l lead $argv[2]
  for line in (__trainer_table $argv[1])
    switch $line
      case @files
        __trainer_paths "$lead"
      case @folders
        __trainer_paths "$lead" | string match -- '*/'
      case @keys
        __trainer_offer keys
      case @models
        __trainer_offer models "$lead"
      case @list
        set -l begun (string replace -- "$lead" '' (commandline -ct) | string match -r -- '^.*[[,]')
        test -n "$begun"; or set begun '['
        set lead "$lead$begun"
      case '@*'
      case '*'
        printf '%s%s\n' "$lead" $line
    end
  end
end

function __trainer_paths
  set -l begun (commandline -ct | string replace -- "$argv[1]" '')
  for path in (complete -C "__trainer_none $begun" | string replace -r '\t.*' '')
    printf '%s%s\n' "$argv[1]" $path
  end
end

# $argv[1]: the program.
function __trainer_complete
  set -l words (commandline -opc)
  set -l cur (commandline -ct)
  # What has been said before the cursor. state: where among the words of --opts, key or value, or empty.
  set -l command $argv[1]
  set -l state
  set -l key
  set -l pending
  set -l optional
  set -l position 1
  set -l flags
  set -l seen 1
  for word in $words[2..-1]
    set seen (math $seen + 1)
    if test "$state" = value
      set state key
      continue
    else if test "$state" = key; and not string match -q -- '--*' "$word"
      if not string match -q -- '*=*' "$word"
        set key $word
        set state value
      end
      continue
    else if test -n "$pending"; and begin; test -z "$optional"; or not string match -q -- '-*' "$word"; end
      set pending
      continue
    end
    set state
    set pending
    set -l name (string replace -r '=.*' '' -- $word)
    string match -q -- '--*' "$name"; and set name (string replace -a _ - -- $name)
    if contains -- "$command:program" $__trainer_names
      if test "$word" = --
        __trainer_program $words[(math $seen + 1)..-1]
        return
      else if not string match -q -- '-?*' "$word"; or not __trainer_has "$command:flags" "$name"
        __trainer_program $words[$seen..-1]
        return
      end
    end
    if string match -q -- '-*' "$word"
      set flags 1
      if test "$word" = --opts
        set state key
      else if not string match -q -- '--*=*' "$word"
        set -l values (__trainer_table "$command:$name")
        if set -q values[1]
          set pending "$command:$name"
          set optional
          test "$values[1]" = @optional; and set optional 1
        end
      end
    else if __trainer_has "$command:commands" "$word"
      set command "$command $word"
      set flags
    else
      set position (math $position + 1)
    end
  end

  if test "$state" = value
    __trainer_offer "=$key"
  else if test "$state" = key; and not string match -q -- '--*' "$cur"
    if string match -q -- '*=*' "$cur"
      set key (string replace -r '=.*' '' -- $cur)
      __trainer_offer "=$key" "$key="
    else
      __trainer_offer keys
    end
  else if test -n "$pending"; and begin; test -z "$optional"; or not string match -q -- '-*' "$cur"; end
    __trainer_offer $pending
  else if string match -q -- '--*=*' "$cur"
    set -l name (string replace -r '=.*' '' -- $cur)
    __trainer_offer "$command:"(string replace -a _ - -- $name) "$name="
  else if string match -q -- '-*' "$cur"
    __trainer_offer "$command:flags"
    # Words that begin with a flag of the trainer's are its command line.
    contains -- "$command:program" $__trainer_names; and complete -C "trainer $cur"
  else
    set -l before (__trainer_offer "$command:$position"; __trainer_offer "$command:rest"; __trainer_offer "$command:program")
    test -z "$flags"; and test $position -eq 1; and set before (__trainer_offer "$command:commands") $before
    set -q before[1]; or set before (__trainer_offer "$command:flags")
    set -q before[1]; and printf '%s\n' $before
  end
end

# The completion of another program, whose command line the words "$argv" begin; of the trainer if they begin with a flag.
function __trainer_program
  set -l words $argv
  string match -q -- '-*' "$words[1]"; and set -p words trainer
  if set -q words[1]
    complete -C (string join ' ' -- (string escape -- $words) (commandline -ct))
  else
    complete -C (commandline -ct)
  end
end

complete -c @program@ -f -a '(__trainer_complete @program@)'
