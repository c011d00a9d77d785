
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

function __trainer_complete
  set -l words (commandline -opc)
  set -l cur (commandline -ct)
  # What has been said before the cursor. state: where among the words of --opts, key or value, or empty.
  set -l command trainer
  set -l state
  set -l key
  set -l pending
  set -l optional
  set -l position 1
  set -l flags
  for word in $words[2..-1]
    if test "$state" = value
      set state key
    else if test "$word" = --opts
      set state key
      set flags 1
      set pending
    else if test "$state" = key; and not string match -q -- '--*' "$word"
      if not string match -q -- '*=*' "$word"
        set key $word
        set state value
      end
    else if test -n "$pending"; and begin; test -z "$optional"; or not string match -q -- '-*' "$word"; end
      set pending
    else
      set state
      set pending
      if string match -q -- '--*=*' "$word"
        set flags 1
      else if string match -q -- '-*' "$word"
        set flags 1
        set -l name $word
        string match -q -- '--*' "$word"; and set name (string replace -a _ - -- $word)
        set -l values (__trainer_table "$command:$name")
        if set -q values[1]
          set pending "$command:$name"
          set optional
          test "$values[1]" = @optional; and set optional 1
        end
      else if contains -- $word (__trainer_table "$command:commands" | string replace -r '\t.*' '')
        set command "$command $word"
        set flags
      else
        set position (math $position + 1)
      end
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
  else
    set -l before (__trainer_offer "$command:$position"; __trainer_offer "$command:rest")
    test -z "$flags"; and test $position -eq 1; and set before (__trainer_offer "$command:commands") $before
    set -q before[1]; or set before (__trainer_offer "$command:flags")
    set -q before[1]; and printf '%s\n' $before
  end
end

complete -c trainer -f -a '(__trainer_complete)'
