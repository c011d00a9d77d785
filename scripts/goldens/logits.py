"""Logits of timm's models in evaluation mode -> model_logits.safetensors."""

import torch

import formula
import models
import store

SEED, BATCH, CLASSES = 2, 2, 10


def main() -> None:
    models.single_threaded()
    tensors, cases = {}, {}
    for case, (name, stem, size) in models.LOGITS.items():
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
    store.write_tensors("model_logits", tensors, {"made_by": "scripts/goldens/logits.py", "seed": SEED, "batch": BATCH,
                                                  "num_classes": CLASSES, "cases": cases})


if __name__ == "__main__":
    main()
