"""Twenty updates by LAMB of three small parameters, as optimizers.py -> optimizers_lamb.safetensors.

The update is written out here in NumPy and f64 (You et al., 2020; decay and trust ratio as in timm's and NVIDIA's Lamb):
PyTorch has no LAMB. The gradients' norm is clipped as torch.nn.utils.clip_grad_norm_ does it.
"""

import numpy as np

import formula
import store

SEED, STEPS = 3, 20
SHAPES = {"conv.weight": (4, 3, 3, 3), "fc.weight": (5, 7), "fc.bias": (5,)}

# Beside optimizer, lr, weight_decay and clip: keys of TRAIN.OPTIMIZER.
CASES = {
    "lamb": {"optimizer": "lamb", "lr": 0.02, "betas": [0.9, 0.999], "eps": 1e-6, "weight_decay": 0.05},
    "lamb_betas": {"optimizer": "lamb", "lr": 0.02, "betas": [0.8, 0.95], "eps": 1e-3, "weight_decay": 0.3},
    "lamb_clip": {"optimizer": "lamb", "lr": 0.02, "betas": [0.9, 0.999], "eps": 1e-6, "weight_decay": 0.05, "clip": 1.0},
    "lamb_trust_clip": {"optimizer": "lamb", "lr": 0.02, "betas": [0.9, 0.999], "eps": 1e-6, "weight_decay": 0.05,
                        "trust_clip": True, "always_adapt": True},
    "lamb_no_decay": {"optimizer": "lamb", "lr": 0.02, "betas": [0.9, 0.999], "eps": 1e-6, "weight_decay": 0.0},
    "lamb_always": {"optimizer": "lamb", "lr": 0.02, "betas": [0.9, 0.999], "eps": 1e-6, "weight_decay": 0.0,
                    "always_adapt": True},
}


def run(case: "dict[str, object]") -> "dict[str, np.ndarray]":
    """Final parameters and state by name, and the gradients' norm before clipping at each update [STEPS]."""
    (beta1, beta2), eps = case["betas"], case["eps"]
    w = {name: values.astype(np.float64) for name, values in formula.weights(SEED, SHAPES).items()}
    m = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    v = {name: np.zeros(shape) for name, shape in SHAPES.items()}
    norms = []
    for step in range(STEPS):
        lr, t = case["lr"] * (1 - step / 40), step + 1
        g = {name: formula.gradient_values(SEED, name, step, shape).astype(np.float64) for name, shape in SHAPES.items()}
        norms.append(np.sqrt(sum((x ** 2).sum() for x in g.values())))
        scale = min(1.0, case["clip"] / (norms[-1] + 1e-6)) if "clip" in case else 1.0
        for name in SHAPES:
            decay = case["weight_decay"] if w[name].ndim > 1 else 0.0
            m[name] = beta1 * m[name] + (1 - beta1) * scale * g[name]
            v[name] = beta2 * v[name] + (1 - beta2) * (scale * g[name]) ** 2
            update = m[name] / (1 - beta1 ** t) / (np.sqrt(v[name] / (1 - beta2 ** t)) + eps) + decay * w[name]
            ratio = 1.0
            if decay != 0 or case.get("always_adapt"):
                ratio = np.linalg.norm(w[name]) / np.linalg.norm(update)
            if case.get("trust_clip"):
                ratio = min(ratio, 1.0)
            w[name] = w[name] - lr * ratio * update
    result = {"grad_norm": np.array(norms)}
    for name in SHAPES:
        result |= {name: w[name].astype(np.float32), f"{name}.exp_avg": m[name].astype(np.float32),
                   f"{name}.exp_avg_sq": v[name].astype(np.float32)}
    return result


def main() -> None:
    tensors = {f"{name}/{key}": value for name, case in CASES.items() for key, value in run(case).items()}
    store.write_tensors("optimizers_lamb", tensors, {"made_by": "scripts/goldens/lamb.py", "seed": SEED, "steps": STEPS,
                                                     "shapes": SHAPES, "cases": CASES})


if __name__ == "__main__":
    main()
