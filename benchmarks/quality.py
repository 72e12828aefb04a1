"""How good softenings are: three numbers for each, paired over the same photographs.

``python benchmarks/quality.py --softening "S.hard()" --softening "S.relative(0.85)"`` prints the
means over the photographs, with the differences to the first softening and their 95 % intervals:

* infidelity, lower is better: patches of the photograph, 20 of half its side and 20 of a quarter
  (112 and 56 pixels of 224), are replaced by uniform noise, each alone. How much of the change of
  the logit of the network's own top class ``<p, dx>`` does not predict: the squared error after the
  best scaling, one factor for a photograph and a size, divided by the energy of the changes; the
  mean of both sizes;
* localisation, higher is better: four photographs side by side as one image. Which share of the
  positive part of ``p * x``, summed over colours, lies in the quadrant whose own top class is the
  target; 0.25 by chance;
* counterfactual, higher is better: the probability of a random class after five steps of 20
  within radius 100 at 224 pixels; at other sizes as many for a pixel.

Noise, mosaics and classes depend on the photographs alone, so all softenings see the same. To
choose among softenings and to judge what was chosen there are two halves, ``--half``.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

import pullback_widgets as pw
from pullback_widgets.engine.image import to_tensor
from pullback_widgets.engine.recording import Recording
from pullback_widgets.engine.target import LOGITS

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
METRICS = ("infidelity", "localisation", "counterfactual")
PATCHES, PARTS = 20, (2, 4)
"""Patches of each size, and the sides of an image by theirs."""
AT_ONCE = 5
"""Patched images in one forward pass; on a CPU 40 take twice as long, most of it for memory."""
STEPS, STEP, RADIUS = 5, 20.0, 100.0
PIXELS = 3 * 224 * 224
"""For which the lengths of an ascent are meant."""
TINY = 1e-30

Scores = dict[str, list[list[float]]]
"""For each metric, of each photograph, a number for each softening."""


def load(name: str, weights: Path) -> pw.Model:
    """A network of the catalogue, or ``mobilenetv3`` with weights from a folder of safetensors."""
    if name != "mobilenetv3":
        return pw.load_model(name)
    import timm
    from safetensors.torch import load_file

    network = timm.create_model("tf_mobilenetv3_small_100")
    network.load_state_dict(load_file(weights / "mobilenetv3_small_100_imagenet.safetensors"))
    half = (0.5, 0.5, 0.5)
    return pw.Model(network.eval().requires_grad_(False), half, half, 224, device=pw.get_device())


def chosen(folder: Path, half: str, limit: int | None) -> list[tuple[int, Path]]:
    """Photographs and their places in the sorted folder: even to choose, odd to judge.

    Raises:
        SystemExit: If there are fewer than four, which a mosaic takes.
    """
    kinds = (".jpg", ".jpeg", ".png", ".webp")
    files = enumerate(sorted(path for path in folder.glob("*") if path.suffix.lower() in kinds))
    kept = [(n, path) for n, path in files if half == "all" or n % 2 == (half == "judge")]
    if limit is not None and limit < len(kept):  # spread: similar classes lie side by side
        kept = [kept[n * len(kept) // limit] for n in range(limit)]
    if len(kept) < 4:
        raise SystemExit(f"{folder} has {len(kept)} photographs to use; a mosaic takes four.")
    return kept


def patched(image: Tensor, side: int, chance: np.random.Generator) -> Tensor:
    """Copies of an image, (N, 3, H, W), each with one square of uniform noise somewhere."""
    copies = image.repeat(PATCHES, 1, 1, 1)
    for copy in copies:
        top, left = (int(chance.integers(length - side + 1)) for length in image.shape[1:])
        noise = chance.uniform(-1, 1, (3, side, side))
        copy[:, top : top + side, left : left + side] = torch.from_numpy(noise)
    return copies


def infidelity(predicted: Tensor, true: Tensor) -> float:
    """Share of the energy of the true changes, (N,), that the predicted ones leave unexplained."""
    predicted, true = predicted.double(), true.double()
    explained = (predicted @ true) ** 2 / (predicted @ predicted).clamp_min(TINY)
    return float(1 - explained / (true @ true).clamp_min(TINY))


def mosaic(images: Sequence[Tensor]) -> Tensor:
    """Four images (3, H, W) as one, (3, 2 H, 2 W), row by row."""
    rows = [torch.cat(tuple(pair), dim=2) for pair in (images[:2], images[2:])]
    return torch.cat(rows, dim=1)


def share(attribution: Tensor, quadrant: int) -> float:
    """Which share of the positive part of an attribution, (H, W), lies in a quadrant."""
    positive = attribution.clamp_min(0)
    height, width = (length // 2 for length in attribution.shape)
    row, column = divmod(quadrant, 2)
    inside = positive[row * height :, column * width :][:height, :width]
    return float(inside.sum() / positive.sum().clamp_min(TINY))


def infidelities(
    session: pw.Session, softenings: Sequence[pw.Softening], chance: np.random.Generator
) -> list[float]:
    """The infidelity of each softening on a session's photograph, mean of both sizes."""
    image, target = session.image, int(session.logits.argmax())
    side = image.shape[-1]
    changed = torch.cat([patched(image, side // part, chance) for part in PARTS])
    parts = [
        Recording(session.model, part, layers=False, grad=False).value(LOGITS)[:, target]
        for part in changed.split(AT_ONCE)
    ]
    true = (torch.cat(parts) - session.logits[target]).cpu().split(PATCHES)
    changes = (changed - image).flatten(1)
    found = []
    for softening in softenings:
        pullback = session.pullback(target, softening).cpu().flatten()
        predicted = (changes @ pullback).split(PATCHES)
        found.append(
            float(np.mean([infidelity(*pair) for pair in zip(predicted, true, strict=True)]))
        )
    return found


def localisations(
    model: pw.Model,
    small: Sequence[Tensor],
    tops: Sequence[int],
    number: int,
    softenings: Sequence[pw.Softening],
    chance: np.random.Generator,
) -> list[float]:
    """The localisation of each softening for one photograph among three of other top classes."""
    others = [n for n in chance.permutation(len(tops)) if tops[n] != tops[number]][:3]
    quadrant = int(chance.integers(4))
    image = mosaic([small[n] for n in [*others[:quadrant], number, *others[quadrant:]]])
    session = pw.Session(model, image)
    return [
        share((session.pullback(tops[number], softening).cpu() * image).sum(0), quadrant)
        for softening in softenings
    ]


def counterfactuals(
    session: pw.Session, softenings: Sequence[pw.Softening], chance: np.random.Generator
) -> list[float]:
    """The probability of a random class after an ascent with each softening."""
    target = int(chance.integers(len(session.logits)))
    scale = math.sqrt(session.image.numel() / PIXELS)
    walk = {"steps": STEPS, "step_size": STEP * scale, "radius": RADIUS * scale}
    found = []
    for softening in softenings:
        *_, last = session.ascend(target, softening, **walk)
        found.append(last.probability)
    return found


def half_size(image: Path | Tensor, side: int) -> Tensor:
    """An image for a mosaic, (3, side, side)."""
    if isinstance(image, Path):
        return to_tensor(image, side)
    small = F.interpolate(image[None], (side, side), mode="bilinear", antialias=True)[0]
    return small.clamp(-1, 1)


def measure(
    model: pw.Model,
    photographs: Sequence[tuple[int, Path | Tensor]],
    softenings: Sequence[pw.Softening],
    metrics: Sequence[str],
) -> tuple[Scores, dict[str, float]]:
    """All numbers, and the seconds that each metric took."""
    scores: Scores = {metric: [] for metric in metrics}
    seconds = dict.fromkeys(metrics, 0.0)

    def score(metric: str, place: int, run: Callable[..., list[float]], *given: object) -> None:
        if metric in metrics:
            start = time.perf_counter()
            chance = np.random.default_rng([place, METRICS.index(metric)])
            scores[metric].append(run(*given, softenings, chance))
            seconds[metric] += time.perf_counter() - start

    small, tops = [], []
    for place, image in photographs:
        session = pw.Session(model, image)
        small.append(half_size(image, model.size // 2))
        tops.append(int(session.logits.argmax()))
        score("infidelity", place, infidelities, session)
        score("counterfactual", place, counterfactuals, session)
    for n, (place, _) in enumerate(photographs):
        score("localisation", place, localisations, model, small, tops, n)
    return scores, seconds


def table(names: Sequence[str], scores: Scores) -> dict[str, Any]:
    """Print means, and the differences to the first softening; what was printed, in numbers."""
    print("| softening | " + " | ".join(scores) + " |")
    print("| --- |" + " --- |" * len(scores))
    summary: dict[str, Any] = {}
    for column, name in enumerate(names):
        cells = []
        for metric, rows in scores.items():
            values = np.array(rows)
            mean = float(values[:, column].mean())
            cells.append(f"{mean:.3f}")
            summary.setdefault(name, {})[metric] = {"mean": mean}
            if column:
                against = pw.bootstrap(values[:, column] - values[:, 0])
                cells[-1] += f", {against.value:+.3f} [{against.low:+.3f}, {against.high:+.3f}]"
                summary[name][metric]["difference"] = against
        print(f"| `{name}` | " + " | ".join(cells) + " |")
    return summary


def main() -> None:
    """Measure the softenings named on the command line and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", default="efficientnet_lite0", help="or mobilenetv3")
    parser.add_argument("--images", type=Path, default=SHARED / "images200", help="a folder")
    parser.add_argument("--weights", type=Path, default=SHARED / "weights", help="of mobilenetv3")
    parser.add_argument("--limit", type=int, help="so many photographs, spread over the half")
    parser.add_argument("--half", choices=("choose", "judge", "all"), default="choose")
    parser.add_argument("--metrics", nargs="+", choices=METRICS, default=METRICS)
    parser.add_argument(
        "--softening", action="append", metavar="EXPR", help="S is pw.Softening: S.relative(0.85)"
    )
    parser.add_argument("--json", type=Path, help="a file for the numbers of each photograph")
    options = parser.parse_args()
    names = options.softening or ["S.hard()", "S.relative(0.85)"]
    softenings = [eval(name, {"S": pw.Softening, "pw": pw}) for name in names]
    photographs = chosen(options.images, options.half, options.limit)
    model = load(options.network, options.weights)
    scores, seconds = measure(model, photographs, softenings, options.metrics)
    took = ", ".join(f"{metric} {taken:.0f} s" for metric, taken in seconds.items())
    print(f"{options.network}, {len(photographs)} photographs ({options.half}); {took}\n")
    summary = table(names, scores)
    if options.json:
        settings = {"network": options.network, "half": options.half, "softenings": names}
        files = [path.name for _, path in photographs]
        content = {**settings, "photographs": files, "summary": summary, "scores": scores}
        options.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
