"""How fast ``pw.evaluate`` is beside Quantus: images a second, the same metrics, maps and images.

``python benchmarks/evaluate.py`` measures six methods (a pullback, the gradient, and the four
controls) by accumulating infidelity, faithfulness correlation and maximum sensitivity with the
settings of the paper's evaluation, and prints images a second of both, in turn, and their ratio.
Maps are ours for both, and are made once for each image and method; Quantus asks for those under
noise itself. It walks through perturbations one by one for each method; we run them in batches,
once for all methods where they do not depend on the map.

``--network small`` is a convolutional network at 32 pixels, where arithmetic is cheap.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.evaluation.batch import Batch
from pullback_widgets.evaluation.faithfulness import FaithfulnessCorrelation
from pullback_widgets.evaluation.infidelity import UnscaledAccumulatingInfidelity
from pullback_widgets.evaluation.methods import Explainer, explainers
from pullback_widgets.evaluation.metric import Metric
from pullback_widgets.evaluation.sensitivity import MaxSensitivity

METRICS: dict[str, Metric] = {
    one.name: one
    for one in (UnscaledAccumulatingInfidelity(), FaithfulnessCorrelation(), MaxSensitivity())
}


def model_of(name: str) -> pw.Model:
    """The network and its preprocessing."""
    if name != "small":
        return pw.load_model(name)
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 64)):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.MaxPool2d(2)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 16, 10))
    return pw.Model(network.eval(), size=32)


def theirs(name: str, side: int) -> Any:
    """Quantus's metric with the settings of ours."""
    import quantus

    quiet = {"disable_warnings": True, "return_aggregate": False}
    features = 3 * side * side
    return {
        "infidelity_accumulating_unscaled": lambda: quantus.Infidelity(
            perturb_baseline="uniform",
            perturb_patch_sizes=[side // 4],
            n_perturb_samples=5,
            **quiet,
        ),
        "faithfulness_correlation": lambda: quantus.FaithfulnessCorrelation(
            nr_runs=100, subset_size=features // 12, **quiet
        ),
        "max_sensitivity": lambda: quantus.MaxSensitivity(nr_samples=10, lower_bound=0.02, **quiet),
    }[name]()


def ours_takes(
    model: pw.Model, images: Tensor, methods: Sequence[Explainer], metrics: Sequence[str]
) -> float:
    """Seconds for a batch."""
    start = time.perf_counter()
    session = pw.Session(model, images, range=(-1, 1))
    batch = Batch(session, session.recording.class_logits().argmax(1).tolist())
    for name in metrics:
        METRICS[name].scores(batch, methods)
    return time.perf_counter() - start


def theirs_takes(
    model: pw.Model, images: Tensor, methods: Sequence[Explainer], metrics: Sequence[str]
) -> float:
    """Seconds for the same batch in Quantus."""
    start = time.perf_counter()
    session = pw.Session(model, images, range=(-1, 1))
    targets = session.recording.class_logits().argmax(1).tolist()
    seen = model.normalise(session.recording.x.detach())
    mean, std = (torch.tensor(one).view(-1, 1, 1) for one in (model.mean, model.std))

    def explain(method: Explainer) -> Callable[..., Any]:
        def run(model: Any, inputs: Any, targets: Any, **_: Any) -> Any:
            x = ((torch.as_tensor(np.asarray(inputs)) * std + mean) * 2 - 1).clamp(-1, 1)
            under_noise = pw.Session(model, x.float(), range=(-1, 1))
            return method.explain(under_noise, [int(one) for one in targets]).cpu().numpy()

        return run

    for method in methods:
        maps = method.explain(session, targets).cpu().numpy()
        for name in metrics:
            theirs(name, images.shape[-1])(
                model=model.module, x_batch=seen.cpu().numpy(), y_batch=np.array(targets),
                a_batch=maps, channel_first=True, softmax=False, device=str(model.device),
                explain_func=explain(method), batch_size=len(images),
            )  # fmt: skip
    return time.perf_counter() - start


def main() -> None:
    """Measure in turn and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--network", default="small", help="small, or a name of pw.CATALOGUE")
    parser.add_argument("--batch", type=int, default=4, help="images at once, for both")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--metrics", nargs="+", choices=METRICS, default=list(METRICS))
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    model = model_of(options.network)
    methods = explainers(pw.Softening.relative())
    names = ["coffee", "rocket", "chelsea", "astronaut", "grace_hopper", "motorcycle"]
    images = torch.stack([model.image(names[n % len(names)]) for n in range(options.batch)])
    rates: dict[str, list[tuple[float, float]]] = {}
    for _ in range(options.rounds):
        for metrics in [*([one] for one in options.metrics), options.metrics]:
            own, other = (
                options.batch / run(model, images, methods, metrics)
                for run in (ours_takes, theirs_takes)
            )
            rates.setdefault(metrics[0] if len(metrics) == 1 else "all", []).append((own, other))
    threads, load = torch.get_num_threads(), os.getloadavg()[0]
    print(f"{options.network}, {len(methods)} methods, batches of {options.batch}, medians of "
          f"{options.rounds} rounds in turn, {threads} threads, load {load:.1f}\n")  # fmt: skip
    print("| metric | images a second, ours | Quantus | ratio |\n| --- | --- | --- | --- |")
    for name, pairs in rates.items():
        own, other = (statistics.median(one) for one in zip(*pairs, strict=True))
        ratio = statistics.median(own / other for own, other in pairs)
        print(f"| {name} | {own:.3g} | {other:.3g} | {ratio:.1f} |")


if __name__ == "__main__":
    main()
