"""What a result depends on besides its settings: versions, and the network."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from ..engine.model import Model
from ..version import __version__


def provenance(model: Model | None = None) -> dict[str, Any]:
    """Versions, and each network's name and :func:`fingerprint`, in what JSON can hold."""
    found: dict[str, Any] = {"pullback_widgets": __version__, "torch": torch.__version__}
    if model is not None:
        found |= {"network": model.catalogue_name or model.name, **fingerprint(model)}
    return found


def fingerprint(model: Model) -> dict[str, Any]:
    """What makes a network's numbers: hashes of its weights and calibration, the preprocessing.

    ``calibration`` is None where scales are measured on the package's own photographs.
    """
    images = None
    if model._calibration is not None:
        images = model.calibration_batch(model.size, model.size)
    return {
        "weights": weights_hash(model),
        "mean": list(model.mean),
        "std": list(model.std),
        "size": model.size,
        "calibration": None if images is None else _hash([("", images)]),
    }


def weights_hash(model: Model) -> str:
    """SHA-256 over the names, types, shapes and bytes of all parameters and buffers."""
    module = model.module
    return _hash(itertools.chain(module.named_parameters(), module.named_buffers()))


def _hash(tensors: Iterable[tuple[str, Tensor]]) -> str:
    """SHA-256 over the names, types, shapes and bytes of tensors."""
    digest = hashlib.sha256()
    for name, tensor in tensors:
        values = tensor.detach().cpu().contiguous()
        digest.update(f"{name} {values.dtype} {tuple(values.shape)}".encode())
        digest.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
