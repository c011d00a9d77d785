"""Weights, batches and gradients from a formula that C++ evaluates to the same bits (tests/support/golden.h).

A golden run of resnet18 needs 45 MB of weights; with these, a fixture holds a seed and results only. Everything is
computed in f32 from u in [0, 1): 2u - 1 is exact, so each value carries one rounding.
"""

from __future__ import annotations

import math

import numpy as np

try:
    import torch
except ImportError:  # only what returns tensors needs it
    torch = None

from philox import Rng

SKETCH = 32  # signed sums per tensor


def _symmetric(u: np.ndarray, bound: float) -> np.ndarray:
    return (np.float32(2) * u - np.float32(1)) * np.float32(bound)


def weight(seed: int, name: str, shape: "tuple[int, ...]", fan_in: int = 0) -> np.ndarray:
    """The parameter or buffer `name` in file layout. `fan_in`: of the layer's weight; 0 for normalisation layers, tokens."""
    count = math.prod(shape)
    if name.endswith("running_mean"):
        return np.zeros(shape, np.float32)
    if name.endswith("running_var"):
        return np.ones(shape, np.float32)
    u = Rng(seed).fork(name).uniform(0, count)
    if len(shape) > 2 and fan_in:
        values = _symmetric(u, math.sqrt(6 / fan_in))
    elif fan_in:
        values = _symmetric(u, 1 / math.sqrt(fan_in))
    else:
        values = np.float32(0.5) + u if name.endswith("weight") else _symmetric(u, 0.1)
        # The last norm of a residual branch begins small, as in timm (there 0): otherwise rounding errors double with every block.
        if name.startswith("layer") and name.endswith("bn2.weight"):
            values = values * np.float32(0.25)
        if name.startswith("blocks") and name.endswith("bn3.weight"):
            values = values * np.float32(0.5)
    return values.reshape(shape)


def weights(seed: int, shapes: "dict[str, tuple[int, ...]]") -> "dict[str, np.ndarray]":
    """All floating tensors of a state dict, given its names and shapes."""
    def fan_in(name: str) -> int:
        shape = shapes.get(name.rpartition(".")[0] + ".weight", ())
        return math.prod(shape[1:]) if len(shape) > 1 else 0
    return {name: weight(seed, name, shape, fan_in(name)) for name, shape in shapes.items()}


def fill(model: torch.nn.Module, seed: int) -> None:
    """Overwrites all weights and running statistics of a model."""
    state = {name: t for name, t in model.state_dict().items() if t.is_floating_point()}
    for name, values in weights(seed, {name: tuple(t.shape) for name, t in state.items()}).items():
        state[name].copy_(torch.from_numpy(values))


def images(seed: int, step: int, shape: "tuple[int, ...]") -> torch.Tensor:
    """Images [N, C, H, W] of zero mean and unit variance."""
    u = Rng(seed).fork("images").uniform(step, math.prod(shape))
    return torch.from_numpy(_symmetric(u, math.sqrt(3)).reshape(shape))


def labels(seed: int, step: int, count: int, classes: int) -> torch.Tensor:
    words = Rng(seed).fork("labels").bits(step, count)
    return torch.from_numpy((words % np.uint32(classes)).astype(np.int64))


def gradient_values(seed: int, name: str, step: int, shape: "tuple[int, ...]") -> np.ndarray:
    """A made-up gradient for tests of optimizers; its size varies with the step, over powers of two."""
    u = Rng(seed).fork("gradients").fork(name).uniform(step, math.prod(shape))
    return _symmetric(u, 2.0 ** -(step % 4)).reshape(shape)


def gradient(seed: int, name: str, step: int, shape: "tuple[int, ...]") -> torch.Tensor:
    return torch.from_numpy(gradient_values(seed, name, step, shape))


def sketch(seed: int, name: str, tensor: torch.Tensor) -> np.ndarray:
    """f64 [32]: s_j = sum over e of +t_e where bit j of e's word is set, else -t_e; e row-major in file layout.

    E (s_j - s'_j)^2 = |t - t'|^2 (Johnson and Lindenstrauss, 1984), so that 32 numbers a tensor bound the distance.
    """
    rng = Rng(seed).fork("sketch").fork(name)
    values = tensor.detach().double().numpy().ravel()
    total = np.zeros(SKETCH)
    for begin in range(0, values.size, 1 << 18):
        chunk = values[begin:begin + (1 << 18)]
        words = rng.bits(0, chunk.size, begin)
        signs = np.stack([(words >> np.uint32(j) & np.uint32(1)).astype(np.float64) for j in range(SKETCH)])
        total += (2 * signs - 1) @ chunk
    return total
