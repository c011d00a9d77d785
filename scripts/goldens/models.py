"""timm models in the variants that the goldens need."""

import timm
import torch


def create(name: str, num_classes: int, in_chans: int = 3, stem: str = "default", size: int = 224) -> torch.nn.Module:
    """A timm model without trained weights. `stem` small: 3x3 convolution of stride 1, no pooling (for 32 px)."""
    sized = {"img_size": size} if name.startswith("vit") else {}
    model = timm.create_model(name, pretrained=False, num_classes=num_classes, in_chans=in_chans, **sized)
    if stem == "small":
        model.conv1 = torch.nn.Conv2d(in_chans, model.conv1.out_channels, 3, padding=1, bias=False)
        model.maxpool = torch.nn.Identity()
    return model


def single_threaded() -> None:
    """Sums in one fixed order: the same machine makes the same fixture again."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
