"""Ten steps of timm's resnet18 and vit_tiny: losses, first gradients, final weights -> {resnet18,vit_tiny}_{sgd,adamw}."""

import numpy as np
import torch

import formula
import models
import store

SEED, STEPS, BATCH, CLASSES = 1, 10, 16, 10
FULL = 4096  # elements: gradients up to this size are stored whole, larger ones as norm and sketch

RUNS = {  # model, optimizer
    ("resnet18", "sgd"): {"size": 64, "lr": 0.005, "weight_decay": 1e-4, "momentum": 0.9},
    ("resnet18", "adamw"): {"size": 48, "lr": 1e-4, "weight_decay": 0.05, "betas": [0.9, 0.999], "eps": 1e-8},
    ("vit_tiny_patch16_224", "sgd"): {"size": 96, "lr": 0.005, "weight_decay": 1e-4, "momentum": 0.9},
    ("vit_tiny_patch16_224", "adamw"): {"size": 32, "lr": 1e-4, "weight_decay": 0.05, "betas": [0.9, 0.999],
                                        "eps": 1e-8},
}


def make_optimizer(kind: str, model: torch.nn.Module, run: "dict[str, object]") -> torch.optim.Optimizer:
    """Weight decay for weights of two and more dimensions only: not for biases and normalisation layers."""
    parameters = list(model.parameters())
    groups = [{"params": [p for p in parameters if p.ndim > 1], "weight_decay": run["weight_decay"]},
              {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0}]
    if kind == "sgd":
        return torch.optim.SGD(groups, lr=run["lr"], momentum=run["momentum"])
    return torch.optim.AdamW(groups, lr=run["lr"], betas=tuple(run["betas"]), eps=run["eps"])


def train(name: str, kind: str, dtype: torch.dtype) -> "tuple[list[float], dict[str, torch.Tensor], torch.nn.Module]":
    """The losses of all steps, the first step's gradients, the model after the last step."""
    run = RUNS[name, kind]
    model = models.create(name, CLASSES, size=run["size"])
    formula.fill(model, SEED)
    model.to(dtype).train()
    optimizer = make_optimizer(kind, model, run)
    losses, first = [], {}
    for step in range(STEPS):
        images = formula.images(SEED, step, (BATCH, 3, run["size"], run["size"])).to(dtype)
        labels = formula.labels(SEED, step, BATCH, CLASSES)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        if step == 0:
            first = {n: p.grad.clone() for n, p in model.named_parameters()}
        optimizer.step()
        losses.append(loss.item())
    return losses, first, model


def summary(prefix: str, tensors: "dict[str, torch.Tensor]") -> "dict[str, np.ndarray]":
    """Norms [P] and sketches [P, 32], rows in the order of the tensors."""
    return {f"{prefix}.norm": np.array([t.double().norm().item() for t in tensors.values()]),
            f"{prefix}.sketch": np.stack([formula.sketch(SEED, name, t) for name, t in tensors.items()])}


def main() -> None:
    models.single_threaded()
    for (name, kind), run in RUNS.items():
        losses, gradients, model = train(name, kind, torch.float32)
        exact, exact_gradients, _ = train(name, kind, torch.float64)
        parameters = {n: p.detach() for n, p in model.named_parameters()}
        tensors = {"losses": np.array(losses), "losses_f64": np.array(exact)}
        tensors |= summary("gradient", gradients) | summary("parameter", parameters)
        tensors |= {f"gradient/{n}": g.numpy() for n, g in gradients.items() if g.numel() <= FULL}
        tensors |= {f"buffer/{n}": b.numpy() for n, b in model.named_buffers() if b.is_floating_point()}
        store.write_tensors(f"{name.removesuffix('_patch16_224')}_{kind}", tensors, {
            "made_by": "scripts/goldens/training.py", "model": name, "seed": SEED, "steps": STEPS,
            "batch": BATCH, "num_classes": CLASSES, "optimizer": kind, "settings": run, "parameters": list(parameters)})
        worst = max(((gradients[n] - g).norm() / g.norm()).item() for n, g in exact_gradients.items())
        difference = max(abs(a / b - 1) for a, b in zip(losses, exact))
        print(f"  losses {losses[0]:.6f} ... {losses[-1]:.6f}; "
              f"f32 against f64: losses {difference:.1e}, gradients {worst:.1e}")


if __name__ == "__main__":
    main()
