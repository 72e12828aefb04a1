"""How good softenings are: three numbers for each, paired over the same photographs.

``python benchmarks/quality.py --softening "S.hard()" --softening "S.relative(0.85)"`` prints the
means over the photographs, with the differences to the first softening and their 95 % intervals, of
infidelity, localisation and counterfactuals as ``pw.METRICS`` has them.

Noise, mosaics and classes depend on the photographs alone, so all softenings see the same. To
choose among softenings and to judge what was chosen there are two halves, ``--half``. The script
took others before it stood on ``pw.evaluate`` (and mosaics of all photographs), so that numbers
differ from earlier ones by chance.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pullback_widgets as pw
from pullback_widgets.evaluation.evaluate import measure
from pullback_widgets.evaluation.evaluation import Evaluation
from pullback_widgets.evaluation.images import opened
from pullback_widgets.evaluation.methods import Pullback

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
METRICS = ("infidelity", "localisation", "counterfactual")
HALVES = {"choose": (0, 2), "judge": (1, 2), "all": (0, 1)}


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


def measured(
    model: pw.Model, images: Any, names: Sequence[str], metrics: Sequence[str] = METRICS
) -> Evaluation:
    """The numbers of softenings, as Python writes them, with ``S`` for ``pw.Softening``."""
    softenings = [Pullback(name, eval(name, {"S": pw.Softening, "pw": pw})) for name in names]
    several = [pw.METRICS[name] for name in metrics]
    return measure(model, opened(images), softenings, several, baseline=names[0])


def table(found: Evaluation) -> None:
    """Print means, and the differences to the first softening."""
    names = [one.name for one in found.metrics]
    print("| softening | " + " | ".join(names) + " |")
    print("| --- |" + " --- |" * len(names))
    for softening in found.methods:
        cells = []
        for name in names:
            cells.append(f"{found.mean(name, softening).value:.3f}")
            if softening != found.baseline:
                against = found.difference(name, softening)
                cells[-1] += f", {against.value:+.3f} [{against.low:+.3f}, {against.high:+.3f}]"
        print(f"| `{softening}` | " + " | ".join(cells) + " |")


def main() -> None:
    """Measure the softenings named on the command line and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", default="efficientnet_lite0", help="or mobilenetv3")
    parser.add_argument("--images", type=Path, default=SHARED / "images200", help="a folder")
    parser.add_argument("--weights", type=Path, default=SHARED / "weights", help="of mobilenetv3")
    parser.add_argument("--limit", type=int, help="so many photographs, spread over the half")
    parser.add_argument("--half", choices=HALVES, default="choose")
    parser.add_argument("--metrics", nargs="+", choices=pw.METRICS, default=METRICS)
    parser.add_argument(
        "--softening", action="append", metavar="EXPR", help="S is pw.Softening: S.relative(0.85)"
    )
    parser.add_argument("--save", type=Path, help="a file, such as .json or .npz")
    options = parser.parse_args()
    names = options.softening or ["S.hard()", "S.relative(0.85)"]
    photographs = opened(options.images).part(*HALVES[options.half]).limited(options.limit)
    found = measured(load(options.network, options.weights), photographs, names, options.metrics)
    print(f"{options.network}, {found.n} photographs ({options.half}), {found.rate:.3g} a second\n")
    table(found)
    if options.save:
        found.save(options.save)


if __name__ == "__main__":
    main()
