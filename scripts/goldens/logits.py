"""Logits of timm's models in evaluation mode -> {resnet,vit}_logits.safetensors."""

import torch

import formula
import models
import store

SEED, BATCH, CLASSES = 2, 2, 10
CASES = {  # by fixture; name in it: model, stem, image size
    "resnet_logits": {
        "resnet18": ("resnet18", "default", 64),
        "resnet34": ("resnet34", "default", 64),
        "resnet50": ("resnet50", "default", 64),
        "resnet18_small": ("resnet18", "small", 32),
    },
    "vit_logits": {
        "vit_tiny": ("vit_tiny_patch16_224", "default", 32),
        "vit_tiny_odd": ("vit_tiny_patch16_224", "default", 96),
        "vit_small_patch32": ("vit_small_patch32_224", "default", 64),
    },
}


def write(fixture: str) -> None:
    tensors, cases = {}, {}
    for case, (name, stem, size) in CASES[fixture].items():
        model = models.create(name, CLASSES, stem=stem, size=size)
        formula.fill(model, SEED)
        model.eval()
        images = formula.images(SEED, 0, (BATCH, 3, size, size))
        with torch.no_grad():
            tensors[case] = model(images).numpy()
            exact = model.double()(images.double())
        rounding = (torch.from_numpy(tensors[case]) - exact).abs().max() / exact.abs().max()
        print(f"{case}: largest logit {exact.abs().max():.3g}, f32 against f64 {rounding:.1e}")
        cases[case] = {"model": name, "stem": stem, "size": size}
    store.write_tensors(fixture, tensors, {"made_by": "scripts/goldens/logits.py", "seed": SEED, "batch": BATCH,
                                           "num_classes": CLASSES, "cases": cases})


def main() -> None:
    models.single_threaded()
    for fixture in CASES:
        write(fixture)


if __name__ == "__main__":
    main()
