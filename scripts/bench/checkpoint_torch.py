"""The peer of scripts/bench/checkpoint: torch.save of ViT-Base and AdamW's state.

Prints one line per save: the seconds until torch.save returns, the seconds until the file is durable as well (fsync),
and its bytes.
"""

import argparse
import os
import time

import torch


def vit_base() -> "list[torch.nn.Parameter]":
    """Parameters of timm's vit_base_patch16_224: the shapes are what matters here."""
    shapes = [(1, 1, 768), (1, 197, 768), (768, 3, 16, 16), (768,)]
    for _ in range(12):
        shapes += [(768,), (768,), (2304, 768), (2304,), (768, 768), (768,)]
        shapes += [(768,), (768,), (3072, 768), (3072,), (768, 3072), (768,)]
    shapes += [(768,), (768,), (1000, 768), (1000,)]
    return [torch.nn.Parameter(torch.randn(shape)) for shape in shapes]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("saves", type=int)
    args = parser.parse_args()

    parameters = vit_base()
    optimizer = torch.optim.AdamW(parameters)
    for p in parameters:
        p.grad = torch.randn_like(p)
    optimizer.step()
    model = {f"p{i}": p.detach() for i, p in enumerate(parameters)}

    for save in range(args.saves):
        path = os.path.join(args.folder, f"step-{save}.pt")
        begin = time.monotonic()
        torch.save({"model": model, "optimizer": optimizer.state_dict()}, path)
        saved = time.monotonic() - begin
        file = os.open(path, os.O_RDWR)
        os.fsync(file)
        os.close(file)
        print(f"{saved:.4f} {time.monotonic() - begin:.4f} {os.path.getsize(path)}")


if __name__ == "__main__":
    main()
