"""The classes of ImageNet by name, as torchvision and timm have them."""

from __future__ import annotations


def imagenet_categories(classes: int) -> list[str] | None:
    """The names of the classes of ImageNet, or of the part of it that has so many."""
    if classes == 1000:
        # No lighter place has them: timm, which the default needs, imports torchvision anyway.
        from torchvision.models import ResNet50_Weights

        categories: list[str] = ResNet50_Weights.IMAGENET1K_V1.meta["categories"]
        return categories
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": classes})
    return list(ImageNetInfo(subset).label_descriptions()) if subset else None
