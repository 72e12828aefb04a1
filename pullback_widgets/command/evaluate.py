"""``pullback-widgets evaluate``: methods by metrics on a folder, with progress on the terminal."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..engine.softening import Softening
    from ..evaluation.evaluation import Evaluation
    from ..evaluation.progress import Progress

PRESETS = ("hard", "held", "paper_v3", "paper_v6", "relative")


def add_parser(actions: Any) -> None:
    """Add the action to those of the command line."""
    parser = actions.add_parser(
        "evaluate",
        help="measure how true pictures are of a network, on a folder of photographs",
        description="Measures methods by metrics on the photographs of a folder, whose folders are "
        "classes, and prints means with 95 %% intervals and what they do not show.",
        allow_abbrev=False,
    )
    parser.add_argument("model", metavar="MODEL", help="a name of pw.CATALOGUE, such as resnet50")
    parser.add_argument("photographs", type=Path, metavar="FOLDER", help="with photographs")
    parser.add_argument(
        "--method",
        action="append",
        metavar="METHOD",
        help=f"{', '.join(PRESETS)}, with =T for a temperature and @N for N steps of ascent, such "
        "as relative=0.7@5; or a name of pw.METHODS. More than once for several",
    )
    parser.add_argument(
        "--metric", action="append", metavar="METRIC", help="a name of pw.METRICS, likewise"
    )
    parser.add_argument(
        "--targets",
        choices=("top", "given", "second"),
        help="the class that maps are of: the network's first (the default) or second, or that of "
        "the folder",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="so many photographs, spread")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all chance")
    parser.add_argument("--batch-size", type=int, metavar="N", help="photographs at once")
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keeps every batch, so that the same call goes on"
    )
    parser.add_argument(
        "--save",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help=".csv, .json, .npz, .pdf, .png or .svg; more than once for several",
    )
    parser.add_argument("--scheduler", metavar="ADDRESS", help="of a Dask cluster that measures")
    parser.add_argument(
        "--paper",
        action="store_true",
        help="the methods and metrics of the paper's table, beside its numbers; best with resnet50 "
        "and ImageNet's validation folder",
    )


def evaluate(given: argparse.Namespace) -> int:
    """Measure, print and save.

    Args:
        given: What :func:`add_parser` reads.

    Returns:
        The exit status: 0, or 1 if it was interrupted.

    Raises:
        ValueError: For what makes no sense, in a sentence.
        ImportError: If a package is missing.
        OSError: If a file cannot be written.
    """
    # Not at the top: other actions need no torch.
    from ..drawing import files
    from ..evaluation import paper
    from ..evaluation.evaluate import evaluate as measure
    from ..evaluation.evaluation import ENDINGS
    from ..networks.catalogue import load_model

    if given.paper and (given.method or given.metric):
        raise ValueError("--paper has its own methods and metrics; leave out the others.")
    if not given.photographs.is_dir():
        raise ValueError(f"There is no folder {given.photographs}; name one with photographs.")
    for path in given.save:  # before the hours, not after
        files.checked_path(path, ENDINGS)
    methods = {text: method(text) for text in given.method or ["relative"]}
    folders = any(path.is_dir() for path in given.photographs.iterdir())
    client = None if given.scheduler is None else _client(given.scheduler)
    try:
        found = measure(
            load_model(given.model),
            given.photographs,
            dict(paper.METHODS) if given.paper else methods,
            list(paper.METRICS) if given.paper else given.metric,
            given.targets or ("given" if given.paper and folders else "top"),
            limit=given.limit,
            seed=given.seed,
            batch_size=given.batch_size,
            folder=given.keep,
            client=client,
            progress=_report,
        )
    finally:
        if client is not None:
            client.close()
    print(file=sys.stderr)
    _tell(found, paper.beside(found) if given.paper else "")
    for path in given.save:
        print(f"{found.save(path)}: written")
    return 0 if found.complete else 1


def method(text: str) -> Any:
    """A method from its name on the command line.

    Raises:
        ValueError: For what is no temperature or number of steps; unknown names are told later.
    """
    name, _, steps = text.partition("@")
    preset, _, temperature = name.partition("=")
    if preset not in PRESETS:
        return text
    found = _softening(preset, temperature)
    if not steps:
        return found
    if not steps.isdecimal():
        raise ValueError(
            f"The method {text!r} has {steps!r} steps of ascent; expected a whole number from 1 "
            f"up, such as {name}@5."
        )
    return {"softening": found, "steps": int(steps)}


def _softening(preset: str, temperature: str) -> Softening:
    from ..engine.softening import Softening

    make = getattr(Softening, preset)
    if not temperature:
        found: Softening = make()
        return found
    try:
        found = make(float(temperature))
    except (TypeError, ValueError):
        wanted = "none" if preset in ("hard", "held") else f"a number above 0: {preset}=0.7"
        raise ValueError(
            f"The temperature of {preset} is {temperature!r}; expected {wanted}."
        ) from None
    return found


def _client(address: str) -> Any:
    try:
        from distributed import Client
    except ModuleNotFoundError as error:
        raise ImportError(
            '--scheduler needs Dask; run: pip install "pullback_widgets[evaluate]"'
        ) from error
    try:
        return Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"No Dask scheduler answers at {address} ({error}); see what dask scheduler printed."
        ) from error


def _report(progress: Progress) -> None:
    """Write the progress over the line before."""
    print(f"\r{progress!s:70}", end="", file=sys.stderr, flush=True)


def _tell(found: Evaluation, beside: str) -> None:
    print(found.text())
    print(f"{found.rate:.3g} images a second")
    if beside:
        print(f"\n{beside}")
