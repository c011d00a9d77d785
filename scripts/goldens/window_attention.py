"""One step of attention in shifted windows by timm's Swin block, in f64 -> window_attention.safetensors.

x through qkv, the windows and back; the output projection is left out. Weights, x and the target of the mean squared error
come from formula.py.
"""

import torch
from timm.models.swin_transformer import SwinTransformerBlock

import formula
import store

SEED = 5
CASE = {"map": [2, 8, 9], "heads": 3, "width": 24, "window": [4, 3], "shift": [2, 1]}


def main() -> None:
    shape = (*CASE["map"], CASE["width"])
    block = SwinTransformerBlock(CASE["width"], shape[1:3], CASE["heads"], window_size=CASE["window"],
                                 shift_size=CASE["shift"]).double()
    formula.fill(block.attn, SEED)
    block.attn.proj = torch.nn.Identity()
    x = formula.images(SEED, 0, shape).double().requires_grad_()
    y = block._attn(x)
    torch.nn.functional.mse_loss(y, formula.images(SEED, 1, shape).double()).backward()
    gradients = {"x": x.grad} | {name: p.grad for name, p in block.attn.named_parameters()}
    tensors = {"y": y.detach()} | {f"gradient/{name}": g for name, g in gradients.items()}
    store.write_tensors("window_attention", {name: t.float().numpy() for name, t in tensors.items()},
                        {"made_by": "scripts/goldens/window_attention.py", "seed": SEED, "case": CASE})


if __name__ == "__main__":
    main()
