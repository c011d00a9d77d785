"""What yacs makes of Swin-Transformer's 46 configurations -> swin_configs.json.

tests/config/swin has a file for each of them, of the same name, with the values of f82860b (MIT). They are merged over
Swin's defaults, which are those of yacs_cases.py without the keys that are ours.

    defaults  every key of Swin's with its default
    files     for each file the keys that have another value

    python -m pip install yacs
    python scripts/goldens/swin_configs.py                            # writes the fixture
    python scripts/goldens/swin_configs.py --check build/bin/trainer  # the program's dumps, as PyYAML and yacs read them
"""

import copy
import json
import subprocess
import sys

import yaml
from yacs.config import CfgNode

from yacs_cases import ROOT, TREE, flat, json_value, versions

FOLDER = ROOT / "tests" / "config" / "swin"
PATH = ROOT / "tests" / "golden" / "swin_configs.json"


def swin_tree() -> dict:
    tree = copy.deepcopy(TREE)
    tree["MODEL"]["TYPE"] = "swin"
    del tree["DATA"]["TRANSFORMS"], tree["TRAIN"]["FREEZE"]
    return tree


def merged() -> "dict[str, CfgNode]":
    trees = {}
    for path in sorted(FOLDER.glob("*.yaml")):
        tree = CfgNode(swin_tree())
        tree.merge_from_file(str(path))
        trees[path.stem] = tree
    return trees


def values(tree: dict) -> "dict[str, object]":
    return {key: json_value(value) for key, value in flat(tree).items()}


def write() -> None:
    defaults = values(swin_tree())
    files = {name: {k: v for k, v in values(tree).items() if repr(v) != repr(defaults[k])} for name, tree in merged().items()}
    head = {"generator": "scripts/goldens/swin_configs.py", "versions": versions()}
    parts = [f" {json.dumps(k)}: {json.dumps(v)}" for k, v in head.items()]
    for name, rows in (("defaults", defaults), ("files", files)):
        lines = ",\n".join(f"  {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in rows.items())
        parts.append(f" {json.dumps(name)}: {{\n{lines}\n }}")
    PATH.write_text("{\n" + ",\n".join(parts) + "\n}\n")
    print(f"{PATH.name}: {len(files)} files, {len(defaults)} keys, {PATH.stat().st_size:,} bytes")


def check(program: str) -> None:
    """Two readers that are not ours: PyYAML alone, and yacs, whose tree decides on types."""
    for name, tree in merged().items():
        expected = values(tree)
        dump = subprocess.run([program, "--cfg", FOLDER / f"{name}.yaml", "--dump-config", "--no-user-config"], check=True, capture_output=True, text=True).stdout
        read = values(yaml.safe_load(dump))
        wrong = [(k, v, read.get(k)) for k, v in expected.items() if repr(read.get(k, "missing")) != repr(v)]
        again = CfgNode(swin_tree(), new_allowed=True)
        again.set_new_allowed(True)
        again.merge_from_other_cfg(CfgNode.load_cfg(dump))
        wrong += [(k, v, "yacs") for k, v in expected.items() if repr(values(again)[k]) != repr(v)]
        assert not wrong, (name, wrong)
    print(f"{len(merged())} dumps are the trees of yacs")


if __name__ == "__main__":
    check(sys.argv[2]) if sys.argv[1:2] == ["--check"] else write()
