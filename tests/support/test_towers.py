"""Vision towers of transformers and open_clip, from their configurations: no weights are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import open_clip
import pytest
import torch
import transformers
from equalities import Measured, measured
from torch import nn
from zoo import CLASSES, wrapped

SIDE = 32
SIZE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "image_size": SIDE,
    "patch_size": 8,
    "num_labels": CLASSES,
}
SEGFORMER: dict[str, Any] = {
    "num_encoder_blocks": 2,
    "depths": [1, 1],
    "sr_ratios": [2, 1],
    "hidden_sizes": [16, 32],
    "patch_sizes": [3, 3],
    "strides": [2, 2],
    "num_attention_heads": [1, 2],
    "mlp_ratios": [2, 2],
    "decoder_hidden_size": 16,
    "num_labels": CLASSES,
}
SWIN: dict[str, Any] = {
    "image_size": SIDE,
    "patch_size": 2,
    "embed_dim": 16,
    "depths": [2, 2],
    "num_heads": [2, 4],
    "window_size": 4,
    "num_labels": CLASSES,
}
CLIP: dict[str, Any] = {"image_size": SIDE, "patch_size": 8, "width": 32, "head_width": 8}


@dataclass
class Tower:
    """A network, and what its report must say is held."""

    build: Callable[[], nn.Module]
    held: dict[str, int]


def vit(attention: str) -> Callable[[], nn.Module]:
    config = transformers.ViTConfig(intermediate_size=64, **SIZE)
    return lambda: transformers.ViTForImageClassification._from_config(
        config, attn_implementation=attention
    )


def clip(**options: Any) -> Callable[[], nn.Module]:
    quick = options.pop("quick_gelu", False)
    text = {"context_length": 8, "vocab_size": 32, "width": 16, "heads": 2, "layers": 1}

    def build() -> nn.Module:
        whole = open_clip.CLIP(CLASSES, {**CLIP, "layers": 2, **options}, text, quick_gelu=quick)
        visual: nn.Module = whole.visual
        return visual

    return build


TOWERS = {
    "ViT": Tower(vit("sdpa"), {"layer norm": 5, "attention": 2}),
    "ViT, attention written out": Tower(vit("eager"), {"layer norm": 5, "attention": 2}),
    "DINOv2": Tower(
        lambda: transformers.Dinov2ForImageClassification(transformers.Dinov2Config(**SIZE)),
        {"layer norm": 5, "attention": 2},
    ),
    "DINOv2 with SwiGLU": Tower(
        lambda: transformers.Dinov2ForImageClassification(
            transformers.Dinov2Config(use_swiglu_ffn=True, **SIZE)
        ),
        {"layer norm": 5, "attention": 2, "product": 2},
    ),
    "DINOv2 with registers": Tower(
        lambda: transformers.Dinov2WithRegistersForImageClassification(
            transformers.Dinov2WithRegistersConfig(num_register_tokens=2, **SIZE)
        ),
        {"layer norm": 5, "attention": 2},
    ),
    "Swin": Tower(
        lambda: transformers.SwinForImageClassification(transformers.SwinConfig(**SWIN)),
        {"layer norm": 11, "attention": 4},
    ),
    "SegFormer": Tower(
        lambda: transformers.SegformerForSemanticSegmentation(
            transformers.SegformerConfig(**SEGFORMER)
        ),
        {"layer norm": 9, "attention": 2},
    ),
    "SegFormer for classes": Tower(
        lambda: transformers.SegformerForImageClassification(
            transformers.SegformerConfig(**SEGFORMER)
        ),
        {"layer norm": 9, "attention": 2},
    ),
    "CLIP": Tower(clip(), {"layer norm": 6, "attention": 2}),
    "CLIP with QuickGELU": Tower(
        clip(quick_gelu=True), {"layer norm": 6, "attention": 2, "product": 2}
    ),
    "CLIP with attention pooling": Tower(
        clip(attentional_pool=True, attn_pooler_queries=4, attn_pooler_heads=2),
        {"layer norm": 8, "attention": 3},
    ),
    "CLIP's ResNet": Tower(clip(layers=(1, 1, 1, 1), width=8), {"attention": 1}),
    "CLIP with a tower of timm": Tower(
        clip(timm_model_name="test_vit", timm_pool="avg"), {"layer norm": 13, "attention": 6}
    ),
}


@pytest.mark.parametrize("name", TOWERS)
def test_a_tower_from_its_configuration(name: str) -> None:
    tower = TOWERS[name]
    torch.manual_seed(0)
    found: Measured = measured(wrapped(tower.build(), SIDE, name))
    assert found.problems() == []
    assert found.report.held == tower.held
    assert not found.report.kept and not found.report.cut
