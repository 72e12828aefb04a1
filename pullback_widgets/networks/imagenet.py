"""The classes of ImageNet by name, as torchvision and timm have them."""

from __future__ import annotations

from pathlib import Path


def imagenet_categories(classes: int) -> list[str] | None:
    """The names of the classes of ImageNet, or of the part of it that has so many."""
    if classes == 1000:
        # torchvision's, written down: the built-in network needs them, and nothing else of it.
        return (Path(__file__).parent / "imagenet.txt").read_text("utf-8").splitlines()
    from timm.data import ImageNetInfo, infer_imagenet_subset

    subset = infer_imagenet_subset({"num_classes": classes})
    return list(ImageNetInfo(subset).label_descriptions()) if subset else None
