"""ResNet-18 on 64 px, batch 32 per process, one thread each, DistributedDataParallel over gloo: prints samples/s of all processes.

Run under torchrun; the median of ten steps after three.
"""

import os
import statistics
import time

import timm
import torch
import torch.distributed as dist
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

BATCH = 32

torch.set_num_threads(1)
torch.manual_seed(0)
world = int(os.environ.get("WORLD_SIZE", "1"))
model = timm.create_model("resnet18", num_classes=10).to(memory_format=torch.channels_last)
if world > 1:
    dist.init_process_group("gloo")
    model = DistributedDataParallel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
images = torch.randn(BATCH, 3, 64, 64).contiguous(memory_format=torch.channels_last)
labels = torch.randint(0, 10, (BATCH,))


def step() -> float:
    begin = time.perf_counter()
    optimizer.zero_grad()
    cross_entropy(model(images), labels).backward()
    optimizer.step()
    return time.perf_counter() - begin


for _ in range(3):
    step()
seconds = statistics.median(step() for _ in range(10))
if int(os.environ.get("RANK", "0")) == 0:
    print(f"{BATCH * world / seconds:.2f}")
if world > 1:
    dist.destroy_process_group()
