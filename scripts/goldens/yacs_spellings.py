"""How people spell values in YAML and on the command line, well and badly: the material of yacs_cases.py."""

# Plain YAML scalars that are also tried as words of the command line and in quotes.
WORDS = """
0 1 -1 +1 7 10 007 010 0o10 0O17 08 09 0x10 0X1F 0b101 0B11 0b_ 0x_ 0x 1_000 _1 1_ 1__0 -0 +0 00 0_8 0_7 -010 +0x1f -0b1
9007199254740992 9007199254740993 9223372036854775807 9223372036854775808 -9223372036854775808 99999999999999999999
1. 1.0 .5 -.5 +.5 0.5 00.5 09.5 1e3 1e-3 1E5 1e+3 1.5e3 1.5e+3 1.5E-3 1.e+3 .5e-1 1_0.5 1_.5 1e_5 1.0_0 5e-7 -1e-8 +2.5
-0.0 1e16 1e22 0.1 1e999 -1e999 1e-999 1.7976931348623157e+308 4.9e-324 .inf -.inf +.inf .Inf .INF .iNf .nan .NaN -.nan
inf nan -inf Infinity NaN 1:30 1:30:00 -1:30 1:60 0:30 1:30.5 10:20:30.7 1:3 01:30 12:5.25 +3:07 1:2:3:4 190:20:30.15 2233720368547758:08 +22:2_ 1:2_.5
yes Yes YES yEs no No NO on On ON off OFF true True TRUE tRUE false False FALSE y Y n N t f null Null NULL ~ None none NONE
abc swin a.b a/b /data/x a-b a_b a:b http://x.y/z rand-m9-mstd0.5-inc1 -x = << é 10px 224x224 1.2.3 1e 0xg 1:a $HOME C:\\x
2020-01-01 2020-1-1 2020-13-45 2001-12-14t21:59:43.10-05:00 1,2 1,2,3 (1,2) (1) (1,) () 1, 1,,2 1.5,2 x,y None, True,False
2j 1+2j b'x' u'x' r'x' f'x' rb'x' 1+1 2*3 --1 -+1 -(1) +(1.5) (-1) ((1)) -(-1) ~1 1if a=b ... $
""".split() + ["2001-12-14 21:59:43", "a b", "1 2", "not True", "None None", "- 1", "1 if True else 2", "x y/z", "set()"]

# Further texts: words of the command line, and scalars in quotes.
TEXTS = [
    "", " ", " 1", "1 ", "\t1", "1\n", "\n1", "\n 1", "\n", "1,\n2", "1\n2", "[1,\n2]", "[1, # a\n 2]", "(\n1\n)", "\\\n 1", "\\\n1", "\n \\\n1", "\n\\\n1", "\n\\\n 1", "\n\\\n # c\n1", "1\n\\\n # c", "1\n\\\n", "\\\n\\\n1", "\\\n\f1", "\"\\\n 1\"", "1 \\\n\\\n", "\\\n", "1 # ten",
    "# ten", "1 # a\n# b\n", "1\n\n", "1,\\\n2", "1,\\\n", "1\n ", "1\n # c", "\f 1", "\f1", "\u00a01", " True", "True ", " yes ", " abc", "'10'", '"10"', "'None'",
    "'a' 'b'", "'a'\n'b'", "('a'\n'b')", "'a' b'b'", "'it''s'", "'it\\'s'", "'''a\nb'''", "'''a''b'''", '"""a"""', "r'\\n'",
    "R'\\''", "U'x'", "'\\x41'", "'\\u00e9'", "'\\N{DASH}'", "'\\N{EM DASH}'", "['\\N{EM DASH}']", "'\\q'", "'\\101'", "'\\0'", "'a\\\nb'", "'a", "a'", "'\\'", "'\\x4'",
    "'\\U0001F600'", "{}", "{'a': 1}", "{1, 2}", "{a}", "*a", "a=b", "[1 2]", "None # c", "'a'.b", "f'{1}'", "'%s' % 1", "@x",
    "[", "]", "(", "[]]", "'a',", "'a', 1", "((1, 2), [3])", "{'a': [1]}", "!x", "&a", "%x", "a: b", "a #b", "a# b", ": x", "[a]: b",
]

# Lists, in flow style and for the command line.
LISTS = """
[]|[ ]|[1]|[1, 2]|[1,2,3,]|[ 1 , 2 ]|[1e-3]|[1e-3, 0.9]|[0.9, 1]|[1, 2.5]|['1', 2]|["1e-3", '0x10']|[yes, no]|[true, True]
[null, ~, None]|[010, 0o10, 0x10]|[1_000, 1_0.5]|[.5, -.5, +.5]|[.inf, .nan]|[nan, inf]|[1e999]|[2020-01-01]|[{a: 1}]|[{}]
[[1], [2, 3]]|[[1, 2e-1], []]|[[[1]]]|[a, b]|[a, 'b', "c"]|[a b, c/d]|[a]|[a,]|[99999999999999999999]|[9223372036854775807]
[1:30, 1:30.5]|['[1]', '1,2']|["(1, 2)"]|["'a'"]|["None"]|[=]|[-1, +2]|[- 1]|[1, 'a', None, True]|[True, 1, 1.0, None]|[2j]
[b'x']|[set()]|[{'a': 1}]|[(1, 2)]|[(1, 2), [3]]|[1 2]|[1, 2|[1]]|[,]|[1,,2]|[0]|[-0.0]|[08]|[1.]|['']|["", '']|[a: b]|[[a, b]]
[[-1], [-1], [0, 1], [-1]]|[8, 8]|[4, 8, 16, 32]|[a-b, c_d]|[1e-3, abc]|[x=1]|[a:b]|[10px]|[~]|["~", 'null']|["yes"]|[1, [2]]
""".replace("\n", "|").strip("|").split("|")

# Values in YAML that are no single word. Lines after the first are indented below the key.
YAML_ONLY = [
    "!!str 10", "!!str abc", "!!str yes", "!!str", "!!int 10", "!!int '10'", "!!int 0x10", "!!int 1e3", "!!int abc", "!!int 1.0",
    "!!float 1", "!!float '1.5'", "!!float 1e-3", "!!float 1_0", "!!float .inf", "!!float abc", "!!float 0x10", "!!float 1:30",
    "!!float -2", "!!bool yes", "!!bool 'off'", "!!bool 1", "!!null x", "!!null ''", "! 10", "! abc", "!", "! ''", "! 'yes'", "[! '1', ! x]", "[:1]", "!mine 1", "!!python/tuple [1]",
    "!!binary aGk=", "!!timestamp 2020-01-01", "!!set {a, b}", "!!omap [a: 1]", "!!seq [1, 2]", "!!map {a: 1}", "[!!str 1, !!float 1]",
    "[!!int '1', !!bool 'no', !!null x]", "{}", "{a: 1}", "&x 5", "&x [1, 2]", "&x", "*nobody", "# comment", "5 # comment", "a#b",
    "'a'  # comment", "|\n1\n", "|\nabc\n", "|-\nabc", "|-\n1e-3", "|+\nabc\n\n", ">\na\nb\n", ">-\n1,\n2", "|-\n[1,\n 2]", "|-\n[1, # a\n2]",
    "|2\n  abc", ">-\na\n\nb", "\n- 1\n- 2", "\n- a\n- b", "\n- 1e-3\n- 0.9", "\n- [1, 2]\n- [3]", "\n-\n- 1", "\n- - 1\n  - 2", "- 1",
    "\n- a: 1", "a\nb", "'a\nb'", "\"a\\\n  b\"", "\"a\\tb\\x41\\u00e9\"", "\"a\\qb\"", "\"\\/\"", "'a'b", "[1, 2] x", "a, b", "?", "-", ":", "? x", "- x",
    "@x", "`x", "%x", "&", "*", "|", ">", "'", "\"", "a: b", "a :b", "a : b", "a:", "\t1", "1\t", "1 \t# c", "\n1", "\n\n  abc", "[1,\n2]", "[\n1,\n2\n]",
    "[a,\tb]", "{a, b}", "{a: 1, a: 2}", "[1, 2", "'it''s'", "\"it's\"", "''", "\"\"", "'~'", "\"null\"", "'''10'''", "\"'10'\"", "'\"10\"'",
]

# Whole files. The tree is Swin's.
FILES = [
    "", "\n", "# nothing\n", "---\n", "---\n...\n", "null\n", "~\n", "{}\n", "[]\n", "abc\n", "5\n", "- TAG: x\n", "TAG\n", "TAG:x\n",
    "TAG: x", "---\nTAG: x\n", "--- {TAG: x}\n", "TAG: x\n...\n", "TAG: x\n---\n", "TAG: x\n---\nTAG: y\n", "TAG: x\n...\nTAG: y\n",
    "%YAML 1.1\n---\nTAG: x\n", "%YAML 1.2\n---\nTAG: x\n", "%YAML 2.0\n---\nTAG: x\n", "%FOO bar\n---\nTAG: x\n", "%:YAML 1.2\n---\nTAG: x\n", "\ufeffTAG: x\n",
    "TAG: x\r\nSEED: 1\r\n", "TAG: x\rSEED: 1\r", "{TAG: x, SEED: 1}\n", "{TAG: x,\n SEED: 1,\n}\n", "{TAG: x, SEED}\n", "{TAG: x} y\n",
    "TAG: x\nTAG: y\n", "TRAIN: {EPOCHS: 1}\nTRAIN: {BASE_LR: 1.0}\n", "TRAIN: {EPOCHS: 1, EPOCHS: 2}\n", "TAG: x\n'TAG': y\n",
    "'TAG': x\n\"SEED\": 1\n", "? TAG\n: x\n", "? TAG\n", "? [TAG]\n: x\n", "TAG : x\n", "TAG:\n  x\n", "TAG:\nx\n", "TAG: !!str\nx\n", "TAG: &a\nx\n", "TAG: &a# x\n", "TAG: &a' x\nOUTPUT: *a'\n", "{TRAIN: {LR_SCHEDULER: {MULTISTEPS:[10, 20]}}}\n",
    "TAG:\n'x'\n", "TAG: &a\n  x\n", "TAG: !!str\n  x\n", "TAG:\n|\n  x\n", "TRAIN:\n  OPTIMIZER:\n    NAME:\n    x\n",
    "TRAIN:\n  OPTIMIZER:\n    NAME:\n  x\n", "? TAG\n: |\n  x\n", "?\n  TAG\n:\n  x\n", "? TAG\n:\n x\n", "TAG:\n\n\n x\n", "{TAG:\nx}\n", "{TRAIN: {OPTIMIZER: {NAME:\nx\n}}}\n",
    "AUG:\n  CUTMIX_MINMAX:\n  - 0.2\n  - 0.8\n", "AUG:\n  CUTMIX_MINMAX:\n  [0.2, 0.8]\n", "TRAIN:\n{EPOCHS: 1}\n", "TRAIN:\n  {EPOCHS: 1}\n", "TRAIN: &t\n  EPOCHS: 1\n", "TRAIN: !!map\n  EPOCHS: 1\n",
    "TRAIN: &t {EPOCHS: 1}\n", "&r\nTAG: x\n", "TAG: x\r\n\r\nSEED: 1", "TAG: |\r\n  x\r\n  y\r\n", "TAG: 'x\r  y'\r", "\ufeff{AUG: {CUTMIX_MINMAX: [1,2]}}\n", "{AUG: {CUTMIX_MINMAX: [1,,2]}}\n",
    "\ufeff{AUG: {CUTMIX_MINMAX: [1,,2]}}\n", "AUG:\n  CUTMIX_MINMAX: [null, ~, ]\n", "AUG:\n  CUTMIX_MINMAX:\n  -\n  - ,\n", "AUG:\n  CUTMIX_MINMAX: [&a , 1]\n", "AUG:\n  CUTMIX_MINMAX: [!!null , 1]\n",
    "AUG:\n  CUTMIX_MINMAX: [!!null '', !!float 2]\n", " TAG: x\n", " TAG: x\nSEED: 1\n",
    "TRAIN:\n  EPOCHS: 1\n   BASE_LR: 1.0\n", "TRAIN:\n  EPOCHS: 1\n BASE_LR: 1.0\n", "TRAIN:\n\tEPOCHS: 1\n", "TRAIN:\n  EPOCHS: 1\t\n", "TRAIN:\t{EPOCHS: 1}\n",
    "TRAIN:\n", "TRAIN: null\n", "TRAIN: ~\nTAG: x\n", "TRAIN: {}\n", "TRAIN:\n  LR_SCHEDULER:\n", "TRAIN:\n  LR_SCHEDULER: {}\n", "TRAIN: 5\n", "TRAIN: []\n",
    "TRAIN: [EPOCHS]\n", "TRAIN: 'None'\n", "TRAIN: '{}'\n", "TRAIN: \"{'EPOCHS': 1}\"\n", "TRAIN: EPOCHS\n", "TRAIN.EPOCHS: 1\n", "TRAIN: {OPTIMIZER.EPS: 1e-6}\n",
    "TRAIN: {EPOCHS: {}}\n", "TRAIN: {EPOCHS: {A: 1}}\n", "AUG: {CUTMIX_MINMAX: {}}\n", "AUG: {CUTMIX_MINMAX: {A: 1}}\n", "NEW: {}\n", "NEW:\n", "NEW: 1\n",
    "TRAIN: {NEW: 1}\n", "TRAIN: {NEW: {}}\n", "TRAIN: {NEW: {EPOCHS: 1}}\n", "1: x\n", "yes: x\n", "null: x\n", "~: x\n", "1.5: x\n", ": x\n", "'': x\n",
    "TRAIN: {1: x}\n", "TRAIN: {on: x}\n", "on: {}\n", "2020-01-01: x\n", "TAG: &a x\nOUTPUT: *a\n", "TAG: &a x\nOUTPUT: *b\n", "TAG: &a x\n*a : y\n",
    "TAG: &a x\nOUTPUT: &a y\nDATA: {DATA_PATH: *a}\n", "SEED: &n 7\nTRAIN: {EPOCHS: *n, BASE_LR: *n}\n",
    "MODEL:\n  SWIN: &s {DEPTHS: [1, 1, 1, 1], EMBED_DIM: 8}\n  SWINV2: *s\n", "MODEL:\n  SWIN: &s {EMBED_DIM: 8}\n  SWINV2:\n    <<: *s\n    WINDOW_SIZE: 8\n",
    "MODEL: {SWIN: &s {EMBED_DIM: 8}, SWINV2: {<<: [*s, {WINDOW_SIZE: 8}]}}\n", "<<: {TAG: x}\n", "'<<': {TAG: x}\n", "TAG: &r [*r]\n", "TRAIN: &r {MOE: *r}\n",
    "!!map {TAG: x}\n", "!mine {TAG: x}\n", "!!omap [TAG: x]\n", "&root {TAG: x}\n", "TAG: x\n# end", "# start\nTAG: x\n", "TAG: x # y\n", "TAG: x# y\n", "TAG: 'x\n", "TAG: \"x\n",
    "TAG: x\n  y\nSEED: 1\n", "TAG: 'x\n  y'\nSEED: 1\n", "TAG: \"x\n\n  y\"\n", "TAG: |\n  x\n  y\nSEED: 1\n", "TAG: >\n  x\n  y\n\n\nSEED: 1\n", "TAG: |-\n  x\n\n  y\n", "TAG: |\nSEED: 1\n", "TAG: |\n  x", "TAG: |-\n  x", "TAG: |+\n  x", "TAG: >\n  x\n  y", "TAG: |\n  x\n\n", "TAG: |+\n  x\n\n", "TAG: 'x", "TAG: '", "TAG: \"", "TAG: x\nOUTPUT: \"", "TAG: 'x'", "TAG: |\n  'x'", "TAG: x\u2028\n", "TAG: [x", "TAG: |\n  x\n  # y", "TAG: x #", "TAG: \"x",
    "TAG:", "TAG: ", "TAG: x\n ", "TAG: x\n  ", "TAG: |\n  x\n ", "TAG: |+\n  x\n   ", "TRAIN:\n  EPOCHS: 1\n  ", "TRAIN: {EPOCHS: 1}\n#", "TAG: 'x\n'\n", "TAG: 'x\n", "TAG: \"x\n  ",
    "TRAIN:\n  LR_SCHEDULER:\n    MULTISTEPS:\n    - 10\n    - 20\n    NAME: step\n", "TRAIN: {LR_SCHEDULER: {MULTISTEPS: [10, 20], NAME: step}}\n",
    "TRAIN: {OPTIMIZER: {BETAS: !!python/tuple [0.9, 0.99]}}\n", "AMP_ENABLE: no\nEVAL_MODE: on\nTAG: 'on'\n", "tag: x\n", "Tag: x\n", "train: {epochs: 1}\n", "TRAIN: {epochs: 1}\n",
    "DATA:\n  IMG_SIZE: 384\nMODEL:\n  TYPE: swin\n  NAME: swin_base\n  DROP_PATH_RATE: 0.5\n  SWIN:\n    EMBED_DIM: 128\n    DEPTHS: [2, 2, 18, 2]\n    NUM_HEADS: [4, 8, 16, 32]\n"
    "    WINDOW_SIZE: 12\nTRAIN:\n  EPOCHS: 30\n  WARMUP_EPOCHS: 5\n  WEIGHT_DECAY: 1e-8\n  BASE_LR: 2e-05\n  WARMUP_LR: 2e-08\n  MIN_LR: 2e-07\nTEST:\n  CROP: False\n",
    "\"TAG\": \"\\u0041\\x42\\n\"\n", "TAG: \u00e9\u4e16\n", "TAG: \U0001f600\n", "TAG: x\u2028y\n", "TAG: x\u0085y\n", "TAG: \"x\ty\"\n", "TAG: x\ty\n", "TAG: x\n\n\n", "\n\n\nTAG: x\n", "TAG: x\n\t\n",
    "TRAIN: {EPOCHS: 1", "TRAIN: EPOCHS: 1\n", "TRAIN: - 1\n", "TRAIN:\n- EPOCHS\n", "TAG: [x\n", "TAG: x]\n", "TAG: }x\n", "TAG: ,x\n", "{TAG: :x}\n", "{TAG: !!str}\n", "{TAG: !!str }\n", "{TRAIN: {FREEZE: [!!str]}}\n", "{TAG: x\n%y}\n", "TAG: 'x\n%y'\n", "TAG: \"x\n%YAML 1.2\"\n", "TAG: x\n%YAML 1.2\n", "TAG: x\n  %y\n", "%YAML 1.2\nTAG: x\n", "%FOO\nTAG: x\n",
    "%\n---\nTAG: x\n", "%A\n# c\n\n%B c\n--- # d\nTAG: x\n", "%A\n--- TAG\n", "%A\n---\n", "TAG: |#\n  x\n", "TAG: |+#+\n  x\n", "TAG: >2# c\n  x\n", "TAG: |- # c\n  x\n", "TAG: &a |#\n  x\n", "TAG: !!str |#\n  x\n", "TAG: x\n# c\u2028SEED: 1\n", "TAG: x\u2028SEED: 1\n", "TAG: 'x\u2028 y'\n",
    "TAG: \"\\N\\L\\P\"\n", "TAG: \x80\n", "\ufeff\ufeffTAG: x\n", "TAG: x\ufeff\n", "TRAIN: {FREEZE: [{'': x}]}\n", "TRAIN:\n  FREEZE:\n  - '': x\n", "TRAIN:\n  FREEZE:\n  - : x\n", "AUG: {CUTMIX_MINMAX: [{~: 1}]}\n", "{TAG: [x}]\n", "TAG: {\"a\":1}\n", "{TAG:x}\n", "{\"TAG\":x}\n",
]

# Files that yacs_cases.py breaks.
NEARLY = [
    "{TAG: x, SEED: 1}\n", "{TRAIN: {EPOCHS: 1, OPTIMIZER: {BETAS: [0.5, 0.9]}}, TAG: 'x y'}\n", "{AUG: {CUTMIX_MINMAX: [a, [b], 'c']}}\n", "{\"TAG\": \"x\", ? SEED : 1}\n",
    "TRAIN: {FREEZE: [a, b],\n  EPOCHS: 1}\nTAG: |\n  x\n  y\n", "TRAIN:\n  FREEZE:\n  - a\n  - 'b'\n  EPOCHS: 1\nTAG: >-\n  x\n  y\nSEED: 1\n", "--- # c\nTAG: &a x\nOUTPUT: *a # d\n...\n",
    "? TAG\n: x\n? TRAIN\n: EPOCHS: 1\n", "AUG:\n  CUTMIX_MINMAX:\n  - - 1\n    - 2\n  - [3]\n", "TAG: \"x\n  y\"\nOUTPUT: 'a''b'\nDATA: {DATA_PATH: !!str z}\n",
]

# Override lists as a whole. KEY=VALUE is ours alone.
OPTS = [
    [], ["TAG"], ["TAG", "x", "SEED"], ["TAG=x"], ["TAG=x", "SEED=1"], ["TAG=a=b"], ["TAG", "a=b"], ["TAG=", "SEED", "1"], ["SEED=x"], ["NEW=1"], ["", "x"],
    [".", "x"], ["TAG.", "x"], [".TAG", "x"], ["TRAIN", "x"], ["TRAIN", "None"], ["TRAIN", "{}"], ["TRAIN", "{'EPOCHS': 1}"], ["TRAIN.", "x"], ["TRAIN..EPOCHS", "1"],
    ["TRAIN.EPOCHS.X", "1"], ["TAG.def", "1"], ["TAG.d", "1"], ["TRAIN.LR_SCHEDULER", "1"], ["TRAIN.LR_SCHEDULER.MULTISTEPS.0", "1"], ["TRAIN.NEW", "1"], ["NEW.EPOCHS", "1"],
    ["TRAIN.NEW.EPOCHS", "1"], ["tag", "x"], ["TRAIN.epochs", "1"], ["AUG.CUTMIX_MINMAX.X", "1"], ["AUG.CUTMIX_MINMAX", "{}"], ["BASE", "['a.yaml']"], ["BASE", "['']"], ["BASE", ""],
    ["BASE", "None"], ["BASE", "a.yaml"], [" TAG", "x"], ["TAG ", "x"], ["--TAG", "x"], ["TAG", "--x"], ["TAG", "x", "TAG", "y"], ["SEED", "1", "SEED", "2"], ["SEED", "1", "SEED", "x"],
    ["TAG", "x", "TRAIN.BASE_LR", "1e-3", "MODEL.SWIN.DEPTHS", "1,1,1,1"], ["AMP_ENABLE", "False", "TRAIN.OPTIMIZER.BETAS", "(0.9, 0.99)"],
]
