"""State-dict names, shapes, parameter counts and multiply-adds of timm's models -> timm_{resnets,vits}.json."""

import torch

import models
import store

NAMES = {
    "timm_resnets": ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"],
    "timm_vits": ["vit_tiny_patch16_224", "vit_small_patch16_224", "vit_small_patch32_224", "vit_base_patch16_224",
                  "vit_base_patch32_224"],
}
SIZE = 224


def multiply_adds(model: torch.nn.Module, size: int) -> int:
    """Multiply-adds of all convolutions and linear layers for one RGB image."""
    total = 0

    def count(module: torch.nn.Module, _: object, output: torch.Tensor) -> None:
        nonlocal total
        total += module.weight[0].numel() * output.numel()

    for module in model.modules():
        if isinstance(module, (torch.nn.Conv2d, torch.nn.Linear)):
            module.register_forward_hook(count)
    with torch.device("meta"):
        model.to("meta").eval()(torch.empty(1, 3, size, size))
    return total


def write(fixture: str) -> None:
    described = {}
    for name in NAMES[fixture]:
        model = models.create(name, num_classes=1000)
        described[name] = {
            "parameters": sum(p.numel() for p in model.parameters()),
            "macs": multiply_adds(model, SIZE),
            "state": {n: list(t.shape) for n, t in model.state_dict().items()},
        }
    store.write_json(fixture, {"made_by": "scripts/goldens/timm_models.py", "num_classes": 1000, "macs_at": SIZE}
                     | described)


def main() -> None:
    for fixture in NAMES:
        write(fixture)


if __name__ == "__main__":
    main()
