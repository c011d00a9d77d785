"""Twenty updates of three small parameters with made-up gradients, with and without clipping -> optimizers.safetensors.

Weights and gradients come from formula.py; the learning rate of update k is lr (1 - k / 40).
"""

import numpy as np
import torch

import formula
import models
import store

SEED, STEPS = 3, 20
SHAPES = {"conv.weight": (4, 3, 3, 3), "fc.weight": (5, 7), "fc.bias": (5,)}

CASES = {
    "sgd": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0},
    "sgd_decay": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.0, "nesterov": False, "weight_decay": 0.05},
    "sgd_momentum": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": False, "weight_decay": 0.05},
    "sgd_nesterov": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05},
    "sgd_clip": {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.05, "clip": 2.5},
    "adamw": {"optimizer": "adamw", "lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.05},
    "adamw_betas": {"optimizer": "adamw", "lr": 0.01, "betas": [0.8, 0.95], "eps": 1e-3, "weight_decay": 0.0},
    "adamw_clip": {"optimizer": "adamw", "lr": 0.01, "betas": [0.9, 0.999], "eps": 1e-8, "weight_decay": 0.05,
                   "clip": 2.5},
}
STATE = ("momentum_buffer", "exp_avg", "exp_avg_sq")


def make_optimizer(case: "dict[str, object]", parameters: "list[torch.nn.Parameter]") -> torch.optim.Optimizer:
    """Weight decay for parameters of two and more dimensions only."""
    groups = [{"params": [p for p in parameters if p.ndim > 1], "weight_decay": case["weight_decay"]},
              {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0}]
    if case["optimizer"] == "sgd":
        return torch.optim.SGD(groups, lr=case["lr"], momentum=case["momentum"], nesterov=case["nesterov"])
    return torch.optim.AdamW(groups, lr=case["lr"], betas=tuple(case["betas"]), eps=case["eps"])


def run(case: "dict[str, object]") -> "dict[str, np.ndarray]":
    """Final parameters and state by name, and the gradients' norm before clipping at each update [STEPS]."""
    parameters = {name: torch.nn.Parameter(torch.from_numpy(values))
                  for name, values in formula.weights(SEED, SHAPES).items()}
    optimizer = make_optimizer(case, list(parameters.values()))
    norms = []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = case["lr"] * (1 - step / 40)
        for name, p in parameters.items():
            p.grad = formula.gradient(SEED, name, step, SHAPES[name])
        norm = torch.nn.utils.clip_grad_norm_(parameters.values(), case.get("clip", float("inf")))
        norms.append(norm.item())
        optimizer.step()
    result = {"grad_norm": np.array(norms)}
    for name, p in parameters.items():
        result[name] = p.detach().numpy()
        state = optimizer.state[p]
        result |= {f"{name}.{key}": state[key].numpy() for key in STATE if state.get(key) is not None}
    return result


def main() -> None:
    models.single_threaded()
    tensors = {f"{name}/{key}": value for name, case in CASES.items() for key, value in run(case).items()}
    store.write_tensors("optimizers", tensors, {"made_by": "scripts/goldens/optimizers.py", "seed": SEED,
                                                "steps": STEPS, "shapes": SHAPES, "cases": CASES})


if __name__ == "__main__":
    main()
