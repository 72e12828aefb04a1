"""The table of the paper: its methods, its metrics, and the numbers that it has."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from ..engine.softening import Softening
from .evaluation import Evaluation

NETWORK = "resnet50"

METHODS: Mapping[str, Any] = MappingProxyType(
    {
        "soft pullback": Softening.paper_v6(),
        "pullback ascent": {"softening": Softening.paper_v6(), "steps": 5},
        "gradient": Softening.hard(),
        "integrated gradients": "integrated_gradients",
    }
)
"""Those of the table; guided Grad-CAM stands beside as a control anyway."""

METRICS = ("infidelity_accumulating", "faithfulness_correlation", "focus")

NUMBERS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "infidelity_accumulating": {
            "soft pullback": 5.99,
            "pullback ascent": 5.38,
            "gradient": 83.3,
            "integrated gradients": 66.8,
            "guided Grad-CAM": 5.76,
        },
        "faithfulness_correlation": {
            "soft pullback": 0.389,
            "pullback ascent": 0.382,
            "gradient": 0.241,
            "integrated gradients": 0.244,
            "guided Grad-CAM": 0.437,
        },
        "focus": {
            "soft pullback": 0.748,
            "pullback ascent": 0.731,
            "gradient": 0.634,
            "integrated gradients": 0.623,
            "guided Grad-CAM": 0.849,
        },
    }
)
"""Of arXiv 2507.22832, for ResNet50."""

SETTINGS = (
    "The paper's numbers (arXiv 2507.22832) are of ResNet50 on 1,000 ImageNet images. Its program "
    "takes 56-pixel squares that stay, five times, each filled with a number from -1 to 1, for "
    "infidelity; 100 groups of 12,544 values made black for faithfulness correlation; and mosaics "
    "with the image in two tiles for Focus; which state of it made the numbers, and with how many "
    "steps of ascent, is not known here. Here the same is computed on images in [-1, 1] in place "
    "of normalised ones, with gates of version 6 at 0.6, five steps of 20 within 100 for the "
    "ascent, and on your images; so expect the order of methods to agree, not the digits."
)


def beside(found: Evaluation) -> str:
    """What was measured and what the paper has, side by side, with the settings of both."""
    lines = []
    for metric, numbers in NUMBERS.items():
        lines.append(f"{metric:32}  here, n = {found.n:<20}  paper")
        for method, paper in numbers.items():
            mean = found.mean(metric, method)
            here = f"{mean.value:.3g} [{mean.low:.3g}, {mean.high:.3g}]"
            lines.append(f"  {method:30}  {here:30}  {paper:.3g}")
    network = found.settings["network"]
    other = "" if NETWORK in network else f" Here the network is {network}, another one."
    return "\n".join([*lines, "", SETTINGS + other])
