"""Learning rates of every update, as Swin's build_scheduler sets them up -> schedules.json.

`lr[i]` is the schedule's value at update count i, from 0. (Swin's loop sets the value at i after update i, so that its
update i + 1 still runs with it, and its first two updates with lr[0].) Swin was written for timm 0.4.12, where a step
schedule counts its decay from the first update, warm-up included: that is warmup_prefix=False in today's timm. Its
linear and multistep schedules are classes of its own; here they are formulas.
"""

import bisect
from typing import Callable

import torch
from timm.scheduler import CosineLRScheduler, StepLRScheduler

import store

STEPS_PER_EPOCH = 11
BASE = {"base_lr": 5e-4, "warmup_lr": 5e-7, "min_lr": 5e-6, "decay_epochs": 2, "decay_rate": 0.1, "gamma": 0.2,
        "multisteps": [2, 4], "warmup_prefix": True}


def timm_schedule(cls: type, lr: float, **arguments) -> Callable[[int], float]:
    """The schedule as a function of the update count."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = cls(optimizer, t_in_epochs=False, **arguments)

    def at(t: int) -> float:
        scheduler.step_update(t)
        return optimizer.param_groups[0]["lr"]
    return at


def schedule(s: "dict[str, object]") -> Callable[[int], float]:
    steps, warmup = s["epochs"] * STEPS_PER_EPOCH, s["warmup_epochs"] * STEPS_PER_EPOCH
    lr, warm = s["base_lr"], {"warmup_t": warmup, "warmup_lr_init": s["warmup_lr"]}
    if s["name"] == "cosine":
        # A run shorter than its warm-up never leaves it; timm only insists on a positive length.
        length = max(1, steps - warmup) if s["warmup_prefix"] else steps
        return timm_schedule(CosineLRScheduler, lr, t_initial=length, lr_min=s["min_lr"], cycle_limit=1,
                             warmup_prefix=s["warmup_prefix"], **warm)
    if s["name"] == "step":
        return timm_schedule(StepLRScheduler, lr, decay_t=s["decay_epochs"] * STEPS_PER_EPOCH,
                             decay_rate=s["decay_rate"], warmup_prefix=False, **warm)

    def after_warmup(t: int) -> float:
        if s["name"] == "linear":  # to 1 % of the base rate
            return lr - (lr - lr * 0.01) * ((t - warmup) / (steps - warmup))
        return lr * s["gamma"] ** bisect.bisect_right([e * STEPS_PER_EPOCH for e in s["multisteps"]], t)

    return lambda t: s["warmup_lr"] + t * ((lr - s["warmup_lr"]) / warmup) if t < warmup else after_warmup(t)


def main() -> None:
    cases = []
    for name in ("cosine", "linear", "step", "multistep"):
        for epochs, warmup in ((5, 0), (5, 1), (5, 2), (1, 2)):
            for prefix in ((True, False) if name == "cosine" else (True,)):
                s = {"name": name, "epochs": epochs, "warmup_epochs": warmup} | BASE | {"warmup_prefix": prefix}
                at = schedule(s)
                cases.append(s | {"lr": [at(t) for t in range(epochs * STEPS_PER_EPOCH)]})
    store.write_json("schedules", {"made_by": "scripts/goldens/schedules.py", "steps_per_epoch": STEPS_PER_EPOCH,
                                   "cases": cases})


if __name__ == "__main__":
    main()
