#!/usr/bin/env python3
"""Loads a model.safetensors of a run into timm, strictly, and compares timm's logits with those of `trainer predict`.

    check_export.py RUN/checkpoints/step-00000110/model.safetensors --model resnet18 --num-classes 10 \\
        --input images.safetensors --logits predicted.safetensors

Prints one line; exits with 1 if the logits differ by more than 1e-5 of the largest (--tolerance), or if a name or a
shape does not fit.
"""

import argparse
import sys

import safetensors.torch
import torch

import models


def read(path: str, name: str) -> torch.Tensor:
    tensors = safetensors.torch.load_file(path)
    if name not in tensors:
        sys.exit(f"{path}: no tensor {name}, only {', '.join(tensors)}")
    return tensors[name]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", help="model.safetensors of a run")
    parser.add_argument("--model", required=True, help="timm's name")
    parser.add_argument("--num-classes", type=int, required=True)
    parser.add_argument("--stem", choices=["default", "small"], default="default", help="MODEL.STEM of the run")
    parser.add_argument("--input", required=True, help="safetensors file with `images` [N, C, H, W], f32 or u8")
    parser.add_argument("--logits", required=True, help="what `trainer predict` wrote: `logits` [N, K]")
    parser.add_argument("--tolerance", type=float, default=1e-5)
    args = parser.parse_args()

    images, ours = read(args.input, "images"), read(args.logits, "logits")
    if images.dtype == torch.uint8:
        images = images.float() / 255
    model = models.create(args.model, args.num_classes, in_chans=images.shape[1], stem=args.stem,
                          size=images.shape[-1]).eval()
    try:
        model.load_state_dict(safetensors.torch.load_file(args.weights), strict=True)
    except RuntimeError as error:
        sys.exit(f"{args.weights}: {error}")
    with torch.no_grad():
        theirs = torch.cat([model(part) for part in images.split(64)])
    if ours.shape != theirs.shape:
        sys.exit(f"{args.logits}: logits {list(ours.shape)}, timm gives {list(theirs.shape)}")

    largest = theirs.abs().max().item()
    difference = (ours - theirs).abs().max().item() / max(largest, 1e-30)
    fits = difference <= args.tolerance  # false for NaN
    verdict = "ok" if fits else f"MORE THAN {args.tolerance:g}"
    print(f"{args.model}: {len(images)} images, largest logit {largest:.4g}, "
          f"largest difference {difference:.1e} of it: {verdict}")
    return 0 if fits else 1


if __name__ == "__main__":
    sys.exit(main())
