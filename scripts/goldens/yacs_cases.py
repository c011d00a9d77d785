"""What yacs makes of thousands of YAML files and override lists -> yacs_cases.jsonl.

The tree is Swin-Transformer's config.py (f82860b), as far as docs/config.md has the key, plus two keys of our own for lists
of str, which Swin's has none of but BASE. BASE itself stays out of the files: for yacs it is a key like others, for us an
instruction. The first line is the tree, every further one a case:

    yaml     the text of a file, if there is one
    opts     the words after --opts, if there are any
    values   KEY: value that differs from the default, after all that yacs did accept
    refused  what it did not: [key, what the key had, value, its text or None, and true if a later one replaces it]

yacs stops at the first value that it refuses. So that one refusal hides no other, a refused case is merged again leaf by
leaf, going on after each. Tuples are lists, which yacs too takes for each other; what JSON does not have is an object:
{"float": "nan"}, {"int": "..."} beyond 64 bits, {"other": "date"}.

    python -m pip install yacs
    python scripts/goldens/yacs_cases.py
"""

import ast
import copy
import importlib.metadata
import json
import math
import platform
import random
import re
import warnings
from pathlib import Path

import yaml
from yacs.config import CfgNode

import yacs_spellings as spellings

ROOT = Path(__file__).resolve().parents[2]
SEED = 8
MISSING = object()

SWIN = dict(PATCH_SIZE=4, IN_CHANS=3, EMBED_DIM=96, DEPTHS=[2, 2, 6, 2], NUM_HEADS=[3, 6, 12, 24], WINDOW_SIZE=7, MLP_RATIO=4.0,
            QKV_BIAS=True, QK_SCALE=None, APE=False, PATCH_NORM=True)
WINDOWS = dict(PRETRAINED_WINDOW_SIZES=[0, 0, 0, 0])
MOE = dict(MLP_FC2_BIAS=True, INIT_STD=0.02, MOE_BLOCKS=[[-1], [-1], [-1], [-1]], NUM_LOCAL_EXPERTS=1, TOP_VALUE=1, CAPACITY_FACTOR=1.25,
           COSINE_ROUTER=False, NORMALIZE_GATE=False, USE_BPR=True, IS_GSHARD_LOSS=False, GATE_NOISE=1.0, COSINE_ROUTER_DIM=256,
           COSINE_ROUTER_INIT_T=0.5, MOE_DROP=0.0, AUX_LOSS_WEIGHT=0.01)


def without(group: dict, *keys: str) -> dict:
    return {k: v for k, v in group.items() if k not in keys}


TREE = dict(
    BASE=[""], AMP_ENABLE=True, AMP_OPT_LEVEL="", OUTPUT="", TAG="default", SAVE_FREQ=1, PRINT_FREQ=10, SEED=0, EVAL_MODE=False,
    THROUGHPUT_MODE=False, LOCAL_RANK=0, FUSED_WINDOW_PROCESS=False, FUSED_LAYERNORM=False, ENABLE_AMP=False,
    DATA=dict(BATCH_SIZE=128, DATA_PATH="", DATASET="imagenet", IMG_SIZE=224, INTERPOLATION="bicubic", ZIP_MODE=False, CACHE_MODE="part",
              PIN_MEMORY=True, NUM_WORKERS=8, MASK_PATCH_SIZE=32, MASK_RATIO=0.6,
              TRANSFORMS=dict(TRAIN=["auto"])),  # ours
    MODEL=dict(TYPE="auto",  # Swin's is "swin"
               NAME="swin_tiny_patch4_window7_224", PRETRAINED="", RESUME="", NUM_CLASSES=1000, DROP_RATE=0.0, DROP_PATH_RATE=0.1,
               LABEL_SMOOTHING=0.1, SWIN=SWIN, SWINV2=without(SWIN, "QK_SCALE") | WINDOWS, SWIN_MLP=without(SWIN, "QKV_BIAS", "QK_SCALE"),
               SWIN_MOE=SWIN | MOE | WINDOWS, SIMMIM=dict(NORM_TARGET=dict(ENABLE=False, PATCH_SIZE=47))),
    TRAIN=dict(START_EPOCH=0, EPOCHS=300, WARMUP_EPOCHS=20, WEIGHT_DECAY=0.05, BASE_LR=5e-4, WARMUP_LR=5e-7, MIN_LR=5e-6, CLIP_GRAD=5.0,
               AUTO_RESUME=True, ACCUMULATION_STEPS=1, USE_CHECKPOINT=False, LAYER_DECAY=1.0, MOE=dict(SAVE_MASTER=False),
               FREEZE=[],  # ours
               LR_SCHEDULER=dict(NAME="cosine", DECAY_EPOCHS=30, DECAY_RATE=0.1, WARMUP_PREFIX=True, GAMMA=0.1, MULTISTEPS=[]),
               OPTIMIZER=dict(NAME="adamw", EPS=1e-8, BETAS=(0.9, 0.999), MOMENTUM=0.9)),
    AUG=dict(COLOR_JITTER=0.4, AUTO_AUGMENT="rand-m9-mstd0.5-inc1", REPROB=0.25, REMODE="pixel", RECOUNT=1, MIXUP=0.8, CUTMIX=1.0,
             CUTMIX_MINMAX=None, MIXUP_PROB=1.0, MIXUP_SWITCH_PROB=0.5, MIXUP_MODE="batch"),
    TEST=dict(CROP=True, SEQUENTIAL=False, SHUFFLE=False))


def versions() -> str:
    return ", ".join([f"{name} {importlib.metadata.version(name)}" for name in ("yacs", "PyYAML")] + [f"Python {platform.python_version()}"])


def our_keys() -> "dict[str, tuple[object, str]]":
    """Default and type of each key of the program, from its reference."""
    rows = re.findall(r"^\| ([A-Z0-9_.]+) \| `(.*?)` \| (.*?) \|", (ROOT / "docs" / "config.md").read_text(), re.MULTILINE)
    return {key: (ast.literal_eval(default), kind.split(",")[0]) for key, default, kind in rows}


def flat(tree: dict, prefix: str = "") -> "dict[str, object]":
    out = {}
    for name, value in tree.items():
        out |= flat(value, f"{prefix}{name}.") if isinstance(value, dict) else {prefix + name: value}
    return out


def nested(path: "list[object]", value: object) -> dict:
    for part in reversed(path):
        value = {part: value}
    return value


def json_value(value: object, depth: int = 0) -> object:
    if isinstance(value, (tuple, list)):
        return [json_value(v, depth + 1) for v in value] if depth < 8 else {"other": "cycle"}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if type(value) is int and not -2**63 <= value < 2**63:
        return {"int": str(value)}
    return value if value is None or isinstance(value, (bool, int, float, str)) else {"other": type(value).__name__}


class Oracle:
    """yacs, on a fresh tree for each case."""

    def __init__(self, tree: dict) -> None:
        self.tree = CfgNode(tree)

    def __call__(self, text: "str | None", opts: "list[str]") -> "dict[str, object]":
        whole = copy.deepcopy(self.tree)
        try:
            if text is not None:
                whole.merge_from_other_cfg(CfgNode.load_cfg(text))
            whole.merge_from_list(opts)
            accepted = True
        except Exception:
            accepted = False
        self.cfg, self.refused, self.touched = copy.deepcopy(self.tree), [], []
        if text is None or self.file(text):
            self.opts(opts)
        assert accepted == (not self.refused), (text, opts, self.refused)
        assert not accepted or whole == self.cfg, (text, opts)
        defaults = flat(self.tree)
        values = {k: json_value(v) for k, v in flat(self.cfg).items() if (type(v), repr(v)) != (type(defaults[k]), repr(defaults[k]))}
        # Whether the last word on the refused key is another.
        refused = [r + [True] * (r[0] in self.touched[at + 1:]) for r, at in self.refused]
        return ({"values": values} if values else {}) | ({"refused": refused} if refused else {})

    def refuse(self, key: str, had: str, value: object, text: "str | None" = None) -> None:
        self.refused.append(([key, had, json_value(value), text], len(self.touched)))
        self.touched.append(key)

    def had(self, path: "list[str]") -> str:
        node = self.cfg
        for part in path:
            if not isinstance(node, CfgNode) or part not in node:
                return "missing"
            node = node[part]
        names = {CfgNode: "group", tuple: "list", type(None): "None"}
        return names.get(type(node), type(node).__name__)

    def file(self, text: str) -> bool:
        try:
            data = yaml.safe_load(text)
            root = yaml.compose(text, Loader=yaml.SafeLoader)
            CfgNode({} if data is None or isinstance(data, dict) else data)
        except Exception as e:
            if isinstance(e, AssertionError):  # a leaf of a type that no key has; it is found below
                pass
            else:
                self.refuse("", "file", type(e).__name__)
                return False
        self.group(data or {}, root, [])
        return True

    def group(self, data: dict, node: yaml.Node, path: "list[str]") -> None:
        for name, value in data.items():
            inner = [n for k, n in (node.value if isinstance(node, yaml.MappingNode) else []) if k.value == name]
            inner = inner[-1] if inner else None
            here = path + [name]
            if isinstance(value, dict) and value and self.had(here) == "group":
                self.group(value, inner, here)
                continue
            had = self.had(here)
            try:
                self.cfg.merge_from_other_cfg(CfgNode(copy.deepcopy(nested(here, value))))
                self.touched.append(".".join(here))
            except Exception:
                self.refuse(".".join(map(str, here)), had, CfgNode._decode_cfg_value(value) if isinstance(value, str) else value,
                            inner.value if isinstance(inner, yaml.ScalarNode) else None)

    def opts(self, opts: "list[str]") -> None:
        """With KEY=VALUE, which yacs refuses, where a key is expected."""
        words = list(opts)
        while words:
            key = words.pop(0)
            if "=" in key:
                self.refuse(key.split("=")[0], "equals", None, key.split("=", 1)[1])
            elif not words:
                self.refuse(key, "nothing", None)
            else:
                text, had = words.pop(0), self.had(key.split("."))
                try:
                    self.cfg.merge_from_list([key, text])
                    self.touched.append(key)
                except Exception:
                    self.refuse(key, had, CfgNode._decode_cfg_value(text), text)


class Cases:
    def __init__(self, defaults: "dict[str, object]", oracle: Oracle) -> None:
        self.draw, self.oracle, self.lines = random.Random(SEED), oracle, {}
        self.keys = {}
        for key, value in defaults.items():
            if key != "BASE":
                self.keys.setdefault(self.kind(key, value), []).append(key)
        self.scalars = ["int", "float", "bool", "str", "None"]
        self.lists = [k for k in self.keys if k not in self.scalars]

    @staticmethod
    def kind(key: str, value: object) -> str:
        if isinstance(value, (list, tuple)):
            element = "int" if key.endswith("MULTISTEPS") else "str" if key.endswith("FREEZE") else type(value[0]).__name__
            return "list of " + element
        return "None" if value is None else type(value).__name__

    def add(self, text: "str | None", opts: "list[str]") -> None:
        case = ({} if text is None else {"yaml": text}) | ({"opts": opts} if opts else {})
        key = json.dumps(case)
        if key not in self.lines:
            self.lines[key] = json.dumps(case | self.oracle(text, opts), separators=(",", ":"))

    def key(self, kind: "str | None" = None) -> str:
        return self.draw.choice(self.keys[kind or self.draw.choice(list(self.keys))])

    @staticmethod
    def document(values: "dict[str, str]") -> str:
        """A file that sets keys to what is written as given; further lines are indented."""
        out, before = [], []
        for key in sorted(values):
            *groups, name = key.split(".")
            shared = 0
            while shared < min(len(groups), len(before)) and groups[shared] == before[shared]:
                shared += 1
            out += [f"{'  ' * i}{groups[i]}:\n" for i in range(shared, len(groups))]
            indent = "  " * len(groups)
            first, *rest = values[key].split("\n")
            out.append(f"{indent}{name}: {first}\n".replace(": \n", ":\n") + "".join(f"{indent}  {line}\n" for line in rest))
            before = groups
        return "".join(out)

    def quoted(self, text: str) -> str:
        style = self.draw.randrange(2) if text.isprintable() else 1
        return json.dumps(text, ensure_ascii=False) if style else "'" + text.replace("'", "''") + "'"

    def number(self) -> str:
        """A number, or nearly one."""
        d = self.draw
        sign = d.choice(["", "", "", "-", "+"])
        digits = d.choice([lambda: str(d.randrange(100)), lambda: str(d.randrange(10**9)), lambda: f"{d.randrange(10**6):_}",
                           lambda: "0" + oct(d.randrange(512))[2:], lambda: hex(d.randrange(4096)), lambda: bin(d.randrange(64)),
                           lambda: f"{d.randrange(24)}:{d.randrange(61):02}", lambda: str(d.randrange(10**20))])()
        if d.random() < 0.5 and digits.isdigit():
            digits += "." + d.choice(["", str(d.randrange(1000)), f"{d.randrange(10**15):015}"])
        exponent = f"{d.choice('eE')}{d.choice(['', '-', '+'])}{d.randrange(30)}" if d.random() < 0.4 else ""
        return sign + digits + exponent + d.choice([""] * 12 + ["_", "x", " ", "."])

    def mistyped(self, text: str) -> str:
        """With a character or two more, fewer or elsewhere."""
        d = self.draw
        for _ in range(d.randrange(1, 3)):
            at = d.randrange(len(text) + 1)
            text = d.choice([text[:at] + d.choice("0179._-+eExob:,'\"[]() #jN\\") + text[at:], text[:at] + text[at + 1:], text[at:] + text[:at]])
        return text

    def broken(self, text: str) -> str:
        """With one to three of the characters that YAML is made of more, fewer or twice."""
        d = self.draw
        for _ in range(d.randrange(1, 4)):
            at = d.randrange(len(text) + 1)
            text = d.choice([text[:at] + d.choice("{}[],:?-'\"#&*!|>%@ \n") + text[at:], text[:at] + text[at + 1:], text[:at] + text[at:at + 2] + text[at:]])
        return text

    def spelled(self, kind: str) -> str:
        """A value that mostly fits."""
        d = self.draw
        if d.random() < 0.15:
            return d.choice(["None", "null", "abc", "1", "1.5", "True", "[1]", "'10'", self.number().strip()])
        if kind.startswith("list of "):
            element = kind.removeprefix("list of ")
            items = ["[0, 1]", "[-1]"] if element == "list" else [self.spelled(element) for _ in range(d.randrange(1, 5))]
            return f"[{', '.join(items)}]"
        return {"int": lambda: str(d.randrange(-5, 500)), "float": lambda: d.choice([repr(d.random()), f"{d.randrange(1, 9)}e-{d.randrange(1, 9)}", "1.", "2"]),
                "bool": lambda: d.choice(["True", "False", "yes", "off", "true"]), "None": lambda: d.choice(["0.5", "None", "[0.2, 0.8]", "1,2", "x"]),
                "str": lambda: d.choice(["a", "swin_base", "/data/x", "10", "1e-3", "'7'", "rand-m9", "yes"])}[kind]()

    def make(self) -> None:
        d = self.draw
        words = spellings.WORDS + spellings.TEXTS
        for text in spellings.WORDS + spellings.LISTS + spellings.YAML_ONLY:
            for kind in self.scalars + [d.choice(self.lists)] + (self.lists if text[0] in "[\n" or "," in text else []):
                self.add(self.document({self.key(kind): text}), [])
        for text in words + spellings.LISTS:
            for kind in self.scalars + [d.choice(self.lists)] + (self.lists if text.strip()[:1] in ("[", "(") or "," in text else []):
                self.add(None, [self.key(kind), text])
            for kind in ["str", d.choice(list(self.keys))]:
                self.add(self.document({self.key(kind): self.quoted(text)}), [])
        for _ in range(400):
            text, key = self.number(), self.key(d.choice(["int", "float", "None", "str"]))
            self.add(*d.choice([(None, [key, text]), (self.document({key: text.strip()}), []), (self.document({self.key("list of float"): f"[{text}]"}), [])]))
        for _ in range(600):
            text, key = self.mistyped(d.choice(words + spellings.LISTS + [self.number()])), self.key()
            self.add(*d.choice([(None, [key, text]), (self.document({key: self.quoted(text)}), []), (self.document({key: text}), [])]))
        for text in spellings.FILES:
            self.add(text, [])
        for opts in spellings.OPTS:
            self.add(None, opts)
        for kind in self.keys:  # what a key accepts after None
            for text in d.sample(words, 12) + ["1", "1.5", "x", "True", "yes", "[1]"]:
                key = self.key(kind)
                self.add(None, [key, "None", key, text])
                self.add(self.document({key: "null"}), [key, text, key, self.spelled(kind)])
        for _ in range(500):  # whole files with overrides
            kinds = [d.choice(list(self.keys)) for _ in range(d.randrange(9))]
            text = self.document({self.key(kind): self.spelled(kind) for kind in kinds}) or "{}\n"
            opts = []
            for _ in range(d.randrange(4)):
                kind = d.choice(list(self.keys))
                key = self.key(kind)
                opts += [key if d.random() < 0.97 else key.lower(), self.spelled(kind)]
            self.add(text, opts)
        for _ in range(1500):  # whole files that are nearly right
            self.add(self.broken(d.choice(spellings.FILES + spellings.NEARLY * 4)), [])


def main() -> None:
    warnings.simplefilter("ignore")  # of literal_eval, about escapes
    ours, tree = our_keys(), copy.deepcopy(TREE)
    for key, default in flat(TREE).items():
        *groups, name = key.split(".")
        group = tree
        for part in groups:
            group = group[part]
        if key not in ours:
            print("not ours:", key)
            del group[name]
            continue
        assert json_value(ours[key][0]) == json_value(default) and type(json_value(ours[key][0])) is type(json_value(default)), key
    cases = Cases(flat(tree), Oracle(tree))
    cases.make()
    head = {"tree": {k: json_value(v) for k, v in flat(tree).items()}, "generator": "scripts/goldens/yacs_cases.py", "seed": SEED, "versions": versions()}
    path = ROOT / "tests" / "golden" / "yacs_cases.jsonl"
    path.write_text("\n".join([json.dumps(head, separators=(",", ":")), *cases.lines.values()]) + "\n")
    refused = sum('"refused":' in line for line in cases.lines.values())
    print(f"{path.name}: {len(cases.lines)} cases, {refused} refused, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
