"""A few values of formula.py, to hold tests/support/golden.h to -> formula.json."""

import torch

import formula
import store
from philox import Rng

SEED, STEP, CLASSES = 5, 2, 10
FAR_INDEX, FAR_ELEMENT = 1 << 33, (1 << 35) + 3
SHAPES = {"conv1.weight": (4, 3, 3, 3), "bn1.weight": (4,), "bn1.bias": (4,), "bn1.running_mean": (4,),
          "bn1.running_var": (4,), "fc.weight": (3, 7), "fc.bias": (3,)}


def main() -> None:
    weights = formula.weights(SEED, SHAPES)
    store.write_json("formula", {
        "made_by": "scripts/goldens/formula_values.py",
        "seed": SEED,
        "shapes": SHAPES,
        "weights": {name: values.ravel().tolist() for name, values in weights.items()},
        "sketches": {name: formula.sketch(SEED, name, torch.from_numpy(values)).tolist()
                     for name, values in weights.items()},
        "step": STEP,
        "images": formula.images(SEED, STEP, (1, 3, 2, 2)).ravel().tolist(),
        "labels": formula.labels(SEED, STEP, 6, CLASSES).tolist(),
        "classes": CLASSES,
        "gradient": formula.gradient(SEED, "fc.bias", STEP, SHAPES["fc.bias"]).tolist(),
        # Beyond 2^32 a counter needs its upper word.
        "far": {"index": FAR_INDEX, "element": FAR_ELEMENT,
                "words": Rng(SEED).fork("far").bits(FAR_INDEX, 6, FAR_ELEMENT).tolist()},
    })


if __name__ == "__main__":
    main()
