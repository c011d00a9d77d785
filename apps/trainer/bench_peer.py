"""One training row in PyTorch on the CPU: the peer of `trainer bench`, which carries this file.

It is run by python -c. The argument is JSON: {"mode": "versions"}, or the facts of a row (bench_rows.cpp)
with `mode` (installed: eager; fused: eager with the fused optimizer; compile: that and torch.compile),
`seconds` to measure for, `started`, time.monotonic() when the process was started, and `start`, the file of
weights and a batch that our side begins with. Prints one line of JSON: the versions, or the row's figures, or
{"error": ...} and exits with 1.
"""
import json
import math
import sys
import time
from collections import OrderedDict
from collections.abc import Iterator


def say_error(kind, error, _) -> None:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [""]
    print(json.dumps({"error": f"{kind.__name__}: {lines[0]}"}))


sys.excepthook = say_error  # of imports as well
facts = json.loads(sys.argv[1])

import torch  # noqa: E402
from torch import nn  # noqa: E402

if facts["mode"] == "versions":
    from importlib import metadata
    try:
        timm_version = metadata.version("timm")
    except metadata.PackageNotFoundError:
        timm_version = None
    print(json.dumps({"python": sys.version.split()[0], "torch": torch.__version__, "timm": timm_version}))
    sys.exit()


def cnn(channels: int, widths: list, classes: int) -> nn.Module:
    """As lib/models/cnn.cpp, with its names."""
    blocks = []
    for i, width in enumerate(widths):
        block = OrderedDict(conv=nn.Conv2d(channels, width, 3, padding=1, bias=False),
                            bn=nn.BatchNorm2d(width), relu=nn.ReLU())
        if 1 <= i < len(widths) - 1:
            block["pool"] = nn.MaxPool2d(2)
        blocks.append(nn.Sequential(block))
        channels = width
    return nn.Sequential(OrderedDict(blocks=nn.Sequential(*blocks), pool=nn.AdaptiveAvgPool2d(1),
                                     flatten=nn.Flatten(), fc=nn.Linear(channels, classes)))


def mlp(inputs: int, widths: list, classes: int) -> nn.Module:
    """As lib/models/mlp.cpp, with its names."""
    layers = OrderedDict()
    for i, width in enumerate(widths):
        layers[str(i)], layers[f"relu{i}"] = nn.Linear(inputs, width), nn.ReLU()
        inputs = width
    return nn.Sequential(OrderedDict(flatten=nn.Flatten(), layers=nn.Sequential(layers),
                                     head=nn.Linear(inputs, classes)))


def build() -> nn.Module:
    name, (channels, height, width), classes = facts["model"], facts["sample"], facts["classes"]
    if name == "cnn":
        return cnn(channels, facts["widths"], classes)
    if name == "mlp":
        return mlp(channels * height * width, facts["widths"], classes)
    import timm
    model = timm.create_model(name, num_classes=classes, in_chans=channels)
    if facts["stem"] == "small":  # of a ResNet: 3x3, no pooling
        model.conv1 = nn.Conv2d(channels, 64, 3, 1, 1, bias=False)
        model.maxpool = nn.Identity()
    return model


def decays(name: str, parameter: nn.Parameter, spared: set) -> bool:
    """As lib/optim/parameters.cpp."""
    parts = name.split(".")
    return parameter.ndim > 1 and parts[-1] != "bias" and spared.isdisjoint(parts)


def parameter_groups() -> list:
    spared = set(model.no_weight_decay()) if hasattr(model, "no_weight_decay") else set()
    groups = [{"params": [], "weight_decay": facts["weight_decay"]}, {"params": [], "weight_decay": 0.0}]
    for name, parameter in model.named_parameters():
        groups[not decays(name, parameter, spared)]["params"].append(parameter)
    return groups


def build_optimizer() -> torch.optim.Optimizer:
    parameters, options = parameter_groups(), {"lr": facts["lr"]}
    if facts["mode"] != "installed":
        options["fused"] = True
    if facts["optimizer"] == "sgd":
        return torch.optim.SGD(parameters, momentum=facts["momentum"], **options)
    return torch.optim.AdamW(parameters, **options)


def read_tensors(path: str) -> Iterator:
    """A safetensors file, one tensor after the other; the package is not needed for it. Nothing is mapped:
    what was read and dropped is not in the peak."""
    dtypes = {"F32": torch.float32, "I64": torch.int64}
    with open(path, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            file.seek(8 + length + begin)
            data = bytearray(file.read(end - begin))
            yield name, torch.frombuffer(data, dtype=dtypes[entry["dtype"]]).reshape(entry["shape"])


def load_start(state: dict) -> tuple:
    """Puts the weights into `state`, all of them, and returns the batch."""
    batch, missing = {}, set(state)
    for name, tensor in read_tensors(facts["start"]):
        if name in ("input", "target"):
            batch[name] = tensor
            continue
        name = name.removeprefix("model.")
        if name not in missing or state[name].shape != tensor.shape:
            raise ValueError(f"{name} {list(tensor.shape)} of ours is not in PyTorch's model")
        state[name].copy_(tensor)
        missing.remove(name)
    if missing:
        raise ValueError(f"{', '.join(sorted(missing))} of PyTorch's model are not in ours")
    return batch["input"].contiguous(memory_format=torch.channels_last), batch["target"]


def peak_bytes() -> int:
    with open("/proc/self/status") as status:  # getrusage would show who started us
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))


torch.manual_seed(0)
model = build().train().to(memory_format=torch.channels_last)
optimizer = build_optimizer()
forward = torch.compile(model) if facts["mode"] == "compile" else model
loading = time.monotonic()  # which training as such has not: no part of the first step
x, y = load_start(model.state_dict())
loading = time.monotonic() - loading
losses = []


def step() -> float:
    begin = time.perf_counter()
    optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=facts["dtype"] == "bf16"):
        loss = nn.functional.cross_entropy(forward(x).float(), y)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    return time.perf_counter() - begin


step()
first = time.monotonic() - facts["started"] - loading
step()  # as throughput.cpp: two steps to warm up, at least five, a median
times, total = [], 0.0
while len(times) < 5 or total < facts["seconds"]:
    times.append(step())
    total += times[-1]
times.sort()
print(json.dumps({"step_s": times[len(times) // 2], "first_step_s": first, "peak_bytes": peak_bytes(),
                  "threads": torch.get_num_threads(),
                  "losses": [loss if math.isfinite(loss) else None for loss in losses[:3]],  # see throughput.cpp
                  "parameters": sum(p.numel() for p in model.parameters()),
                  "decayed": sum(p.numel() for group in optimizer.param_groups if group["weight_decay"] > 0
                                 for p in group["params"])}))
