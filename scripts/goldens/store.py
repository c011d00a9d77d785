"""How the generators write fixtures into tests/golden."""

import json
import platform
import sys
from pathlib import Path

import numpy as np
import safetensors.numpy

GOLDEN = Path(__file__).resolve().parents[2] / "tests" / "golden"


def versions() -> str:
    """Of what the generator has used."""
    used = [(name, sys.modules.get(name)) for name in ("torch", "timm", "sklearn")]
    return ", ".join([f"{name} {module.__version__}" for name, module in used if module is not None]
                     + [f"NumPy {np.__version__}", f"Python {platform.python_version()}", platform.machine()])



def in_order(file: bytes) -> bytes:
    """The same safetensors file with sorted metadata: the library writes them in another order each time."""
    length = int.from_bytes(file[:8], "little")
    header = json.loads(file[8:8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + file[8 + length:]


def write_tensors(name: str, tensors: "dict[str, np.ndarray]", made: "dict[str, object]") -> None:
    """tests/golden/NAME.safetensors. `made` says how; values that are no strings are stored as JSON."""
    metadata = {k: v if isinstance(v, str) else json.dumps(v, separators=(",", ":")) for k, v in made.items()}
    path = GOLDEN / f"{name}.safetensors"
    contiguous = {k: np.ascontiguousarray(v) for k, v in tensors.items()}
    path.write_bytes(in_order(safetensors.numpy.save(contiguous, metadata | {"versions": versions()})))
    print(f"{path.name}: {len(tensors)} tensors, {path.stat().st_size:,} bytes")


def write_json(name: str, content: "dict[str, object]") -> None:
    """tests/golden/NAME.json: one line per entry of the lists and objects at its top, so that diffs can be read."""
    def compact(value: object) -> str:
        return json.dumps(value, separators=(",", ":"))

    parts = []
    for key, value in (content | {"versions": versions()}).items():
        if isinstance(value, list):
            text = "[\n  " + ",\n  ".join(map(compact, value)) + "\n ]"
        elif isinstance(value, dict):
            text = "{\n  " + ",\n  ".join(f"{compact(k)}: {compact(v)}" for k, v in value.items()) + "\n }"
        else:
            text = compact(value)
        parts.append(f" {compact(key)}: {text}")
    path = GOLDEN / f"{name}.json"
    path.write_text("{\n" + ",\n".join(parts) + "\n}\n")
    print(f"{path.name}: {path.stat().st_size:,} bytes")
