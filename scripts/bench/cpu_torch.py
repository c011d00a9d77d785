"""One training row of PyTorch on the CPU, for scripts/bench/cpu: prints median milliseconds a step and the peak memory.

  cpu_torch.py ROW DTYPE MODE     MODE: plain (as installed), fused (its fused optimizer), compile (fused, torch.compile)
"""
import resource
import sys
import time

import timm
import torch
from torch import nn

row, dtype, mode = sys.argv[1:4]
torch.manual_seed(0)


def conv(i: int, o: int) -> list[nn.Module]:
    return [nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU()]


def resnet18_32() -> nn.Module:
    model = timm.create_model("resnet18", num_classes=10)
    model.conv1 = nn.Conv2d(3, 64, 3, 1, 1, bias=False)
    model.maxpool = nn.Identity()
    return model


ROWS = {  # model, batch, sample, optimizer
    "resnet50": (lambda: timm.create_model("resnet50"), 16, (3, 224, 224), "sgd"),
    "resnet18_32": (resnet18_32, 64, (3, 32, 32), "sgd"),
    "vit_tiny": (lambda: timm.create_model("vit_tiny_patch16_224"), 16, (3, 224, 224), "adamw"),
    "vit_small": (lambda: timm.create_model("vit_small_patch16_224"), 16, (3, 224, 224), "adamw"),
    "cnn": (lambda: nn.Sequential(*conv(1, 32), *conv(32, 64), nn.MaxPool2d(2), *conv(64, 128), nn.AdaptiveAvgPool2d(1),
                                  nn.Flatten(), nn.Linear(128, 10)), 64, (1, 8, 8), "adamw"),
    "mlp": (lambda: nn.Sequential(nn.Flatten(), nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(),
                                  nn.Linear(256, 10)), 64, (1, 8, 8), "adamw"),
}
make, batch, sample, optimizer = ROWS[row]
model = make().train().to(memory_format=torch.channels_last)
x = torch.randn(batch, *sample).contiguous(memory_format=torch.channels_last)
y = torch.randint(0, 10, (batch,))
options = {"fused": True} if mode != "plain" else {}
if optimizer == "sgd":
    step_of = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4, **options)
else:
    step_of = torch.optim.AdamW(model.parameters(), lr=1e-3, **options)
forward = torch.compile(model) if mode == "compile" else model


def step() -> float:
    begin = time.perf_counter()
    step_of.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == "bf16"):
        loss = nn.functional.cross_entropy(forward(x).float(), y)
    loss.backward()
    step_of.step()
    loss.item()
    return time.perf_counter() - begin


first = step() + step()
times, end = [], time.perf_counter() + 10
while len(times) < 5 or time.perf_counter() < end:
    times.append(step())
times.sort()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(f"{times[len(times) // 2] * 1e3:.3f} {peak} {first:.2f}")
