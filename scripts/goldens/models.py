"""timm models in the variants that the goldens need."""

import timm
import torch

# Every model of ours that timm has: their names, shapes and counts are compared (timm_models.py).
NAMES = ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152",
         "mobilenetv2_035", "mobilenetv2_050", "mobilenetv2_075", "mobilenetv2_100", "mobilenetv2_110d", "mobilenetv2_120d",
         "mobilenetv2_140",
         "vit_tiny_patch16_224", "vit_small_patch16_224", "vit_small_patch32_224", "vit_base_patch16_224",
         "vit_base_patch32_224"]
# Those whose logits are compared (logits.py), by name in the fixture: model, stem, image size.
LOGITS = {
    "resnet18": ("resnet18", "default", 64),
    "resnet34": ("resnet34", "default", 64),
    "resnet50": ("resnet50", "default", 64),
    "resnet18_small": ("resnet18", "small", 32),
    "mobilenetv2_100": ("mobilenetv2_100", "default", 64),
    "mobilenetv2_110d": ("mobilenetv2_110d", "default", 64),
    "vit_tiny": ("vit_tiny_patch16_224", "default", 32),
    "vit_tiny_odd": ("vit_tiny_patch16_224", "default", 96),
    "vit_small_patch32": ("vit_small_patch32_224", "default", 64),
}


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
