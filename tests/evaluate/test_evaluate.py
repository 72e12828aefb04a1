"""A run: what is given, what goes on, what stops, and what is as it was."""

from __future__ import annotations

import contextlib
import gc
import json
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import CLASSES, image, network, wrap
from PIL import Image
from states import state_of
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.evaluation import folder as folders
from pullback_widgets.evaluation import plan as plans
from pullback_widgets.evaluation.evaluation import Evaluation
from pullback_widgets.evaluation.images import opened
from pullback_widgets.evaluation.progress import Progress

IMAGES = [image(n) for n in range(5)]
METRICS = ["infidelity", "localisation", "target_sensitivity"]
RELATIVE = {"relative": pw.Softening.relative()}


@pytest.fixture
def model() -> pw.Model:
    return wrap(network("chain"))


def run(model: pw.Model, images: Any = IMAGES, **options: Any) -> Evaluation:
    defaults: dict[str, Any] = {"methods": RELATIVE, "metrics": METRICS, "batch_size": 2}
    return pw.evaluate(model, images, **{**defaults, **options})


def same(a: Evaluation, b: Evaluation, order: Any = slice(None)) -> bool:
    return all(
        np.allclose(a.scores(name)[order], b.scores(name), rtol=1e-9, atol=1e-9, equal_nan=True)
        for name in METRICS
    )


# What is given ------------------------------------------------------------------------------------


def test_controls_and_the_baseline_stand_beside(model: pw.Model) -> None:
    found = run(model, metrics=["infidelity"])
    assert found.methods == (
        "relative", "gradient", "random map", "edge map", "guided backpropagation",
        "guided Grad-CAM",
    )  # fmt: skip
    assert found.controls == found.methods[2:]
    assert [one.name for one in found.metrics] == ["infidelity", "target_sensitivity"]
    assert found.complete and found.n == 5


@pytest.mark.parametrize("order", [[4, 3, 2, 1, 0], [2, 0, 4, 1, 3]])
def test_neither_order_nor_batches_matter(model: pw.Model, order: list[int]) -> None:
    # of the second class, since nearly all have the same top class, and mosaics need others
    first = run(model, targets="second")
    assert np.isfinite(first.scores("localisation")[:, 0]).all()
    assert same(first, run(model, [IMAGES[n] for n in order], targets="second"), order)
    assert same(first, run(model, targets="second", batch_size=5))


def test_another_seed_is_another_chance(model: pw.Model) -> None:
    first, other, name = run(model), run(model, seed=1), "target_sensitivity"
    assert not np.allclose(first.scores("infidelity"), other.scores("infidelity"))
    assert np.allclose(first.scores(name), other.scores(name), equal_nan=True)


def folder_of(path: Path, classes: dict[str, int]) -> Path:
    """A folder of photographs in folders of classes."""
    for name, count in classes.items():
        (path / name).mkdir(parents=True)
        for n in range(count):
            pixels = (255 * (image(n + len(name)).permute(1, 2, 0) + 1) / 2).byte().numpy()
            Image.fromarray(pixels).save(path / name / f"{n}.png")
    return path


def test_folders_are_classes(model: pw.Model, tmp_path: Path) -> None:
    found = run(model, folder_of(tmp_path, {"spoon": 2, "golf cart": 1}), targets="given")
    assert found.parts.names == ["golf cart/0.png", "spoon/0.png", "spoon/1.png"]
    assert found.parts.targets == [1, 5, 5]


def test_as_many_folders_as_classes_are_in_order(model: pw.Model, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "whole", {f"n0{n}": 1 for n in range(CLASSES)})
    assert run(model, folder, targets="given").parts.targets == list(range(CLASSES))
    with pytest.raises(ValueError, match="There are 2 folders, and Chain has 6 classes"):
        run(model, folder_of(tmp_path / "part", {"n00": 1, "n01": 1}), targets="given")


def test_what_cannot_be_read_is_left_out_of_a_folder(model: pw.Model, tmp_path: Path) -> None:
    folder = folder_of(tmp_path, {"spoon": 3})
    (folder / "spoon" / "1.png").write_bytes(b"nothing")
    found = run(model, folder)
    assert found.n == 2
    assert found.parts.skipped == ["spoon/1.png"]
    assert "Not read: 1 image (spoon/1.png)." in found.warnings
    with pytest.raises(pw.ImageError, match="1: "):
        run(model, [folder / "spoon" / "1.png"])


class Data:
    """A data set like torchvision's."""

    def __len__(self) -> int:
        return 5

    def __getitem__(self, number: int) -> tuple[Tensor, int]:
        if number >= 5:
            raise IndexError
        return IMAGES[number], number


@pytest.mark.parametrize(
    "images",
    [
        Data(),
        [(one, n) for n, one in enumerate(IMAGES)],
        [{"image": one, "label": n} for n, one in enumerate(IMAGES)],
        ((one, torch.tensor(n)) for n, one in enumerate(IMAGES)),
    ],
    ids=["data set", "pairs", "dicts", "generator"],
)
def test_classes_that_come_with_images(model: pw.Model, images: Any) -> None:
    assert run(model, images, targets="given").parts.targets == [0, 1, 2, 3, 4]


def test_other_targets(model: pw.Model) -> None:
    logits = pw.Session(model, torch.stack(IMAGES)).logits
    assert run(model, torch.stack(IMAGES)).parts.targets == logits.argmax(1).tolist()
    second = logits.topk(2).indices[:, 1].tolist()
    assert run(model, targets="second").parts.targets == second
    assert run(model, targets=3).parts.targets == [3] * 5


def test_limits_are_spread(model: pw.Model) -> None:
    assert run(model, limit=2).parts.names == ["image 1", "image 3"]
    assert run(model, iter(IMAGES), limit=2).parts.names == ["image 1", "image 2"]


class Explains:
    """By captum's convention: the plain gradient."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def attribute(self, inputs: Tensor, target: Tensor) -> Tensor:
        scores = self.module(inputs)[torch.arange(len(inputs)), target]
        return torch.autograd.grad(scores.sum(), inputs)[0]


def test_every_kind_of_method(model: pw.Model) -> None:
    model = pw.Model(model.module, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4), size=8,
                     calibration=model._calibration)  # fmt: skip
    relative = pw.Softening.relative()
    found = run(
        model,
        metrics=["infidelity", "infidelity_unscaled", "completeness", "randomisation"],
        methods={
            "class": Explains,
            "object": Explains(model.module),
            "function": Explains(model.module).attribute,
            "soft class": (Explains, relative),
            "named": "gradient",
            "softening": relative,
            "captum's": "integrated_gradients",
            "ascent": {"steps": 2, "step_size": 10},
        },
    )
    for name in ("infidelity", "infidelity_unscaled"):
        scores = dict(zip(found.methods, found.scores(name).T, strict=True))
        for other in ("object", "function", "named", "gradient"):
            assert np.allclose(scores["class"], scores[other]), other
        assert not np.allclose(scores["soft class"], scores["class"])
        assert np.allclose(scores["soft class"], scores["softening"])
        assert np.isfinite(scores["ascent"]).all()
    random = dict(zip(found.methods, found.scores("randomisation").T, strict=True))
    assert np.isnan(random["object"]).all()
    assert np.isfinite(random["class"]).all()
    completeness = dict(zip(found.methods, found.scores("completeness").T, strict=True))
    assert (completeness["captum's"] < completeness["class"]).all()


def test_contributions_by_captum_are_read_as_such(model: pw.Model) -> None:
    captum: Any = pytest.importorskip("captum.attr")
    found = run(
        model,
        targets="second",
        metrics=["infidelity", "completeness", "localisation", "deletion"],
        methods={"class": captum.InputXGradient, "named": "input_x_gradient"},
    )
    for name in ("infidelity", "completeness", "localisation", "deletion"):
        assert np.allclose(*found.scores(name)[:, :2].T)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"methods": 3}, TypeError, "A method is 3; expected a pw.Softening"),
        ({"methods": ["no such"]}, ValueError, "There is no method 'no such'"),
        ({"methods": {"a": {"step": 2}}}, ValueError, "The dict of an ascent has 'step'"),
        ({"methods": ["gradient", "gradient"]}, ValueError, "Two methods are called 'gradient'"),
        ({"metrics": ["no such"]}, ValueError, "There is no metric 'no such'; choose from infid"),
        ({"metrics": "counterfactual_confirmed"}, ValueError, "needs another network"),
        ({"baseline": "mine"}, ValueError, "The baseline 'mine' is none of the methods"),
        ({"targets": "third"}, ValueError, "targets is 'third'; expected one of 'top'"),
        ({"targets": "given"}, ValueError, "image 1 comes without a class"),
        ({"targets": 6}, ValueError, "is to be of class 6; Chain has 6"),
        ({"images": []}, ValueError, "There are no images"),
        ({"images": 4}, TypeError, "The images are int; expected a folder"),
        ({"client": "here"}, TypeError, "client is str; expected a dask.distributed.Client"),
        ({"batch_size": 0}, ValueError, "batch_size is 0"),
        ({"methods": [lambda x, target: 1]}, TypeError, "returned int; expected a tensor"),
        ({"methods": [lambda x, target: x[:, :2]]}, ValueError, r"returned the shape \(2, 2, 8"),
    ],
)
def test_what_makes_no_sense_is_refused(
    model: pw.Model, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(model, **options)


def test_a_control_that_cannot_run_is_left_out_and_named() -> None:
    smooth = nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.GELU(), nn.Linear(4, 3)).double()
    found = run(wrap(smooth.eval()))
    assert np.isnan(found.scores("infidelity")[:, found.methods.index("guided Grad-CAM")]).all()
    assert any("Guided backpropagation is left out: " in one for one in found.warnings)


# What stops and goes on ---------------------------------------------------------------------------


class StoppedHere(BaseException):
    """A crash that nothing catches."""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".json"}


@pytest.mark.parametrize("where", ["network", "before writing", "in writing", "after writing"])
@pytest.mark.parametrize("turn", [0, 1, 2])
def test_a_crash_loses_one_batch_and_changes_nothing(
    model: pw.Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str, turn: int
) -> None:
    whole = run(model, folder=tmp_path / "whole")
    calls = iter(range(99))
    with monkeypatch.context() as patched:
        if where == "network":
            own = plans._scores

            def measured(*args: Any) -> Any:
                if next(calls) == turn:
                    raise StoppedHere
                return own(*args)

            patched.setattr(plans, "_scores", measured)
        else:
            kept, replace = folders.keep, Path.replace

            def keep(*args: Any) -> None:
                last = next(calls) == turn
                if last and where == "before writing":
                    raise StoppedHere
                if last and where == "in writing":  # the file is there, and not yet in place
                    patched.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(StoppedHere))
                kept(*args)
                if last:
                    raise StoppedHere

            patched.setattr(folders, "keep", keep)
            assert replace
        with pytest.raises(StoppedHere):
            run(model, folder=tmp_path / "part")
    done = turn + (where == "after writing")
    assert len(contents(tmp_path / "part")) == 1 + done
    passes = []
    own = plans.measured
    monkeypatch.setattr(
        "pullback_widgets.evaluation.evaluate.measured",
        lambda *args: passes.append(1) or own(*args),
    )
    again = run(model, folder=tmp_path / "part")
    assert len(passes) == 3 - done
    assert contents(tmp_path / "part") == contents(tmp_path / "whole")
    for path in ("a.npz", "b.json", "c.csv"):
        first, second = whole.save(tmp_path / path), again.save(tmp_path / f"again-{path}")
        assert first.read_bytes() == second.read_bytes()


def test_a_damaged_batch_is_measured_again(model: pw.Model, tmp_path: Path) -> None:
    run(model, folder=tmp_path / "run")
    before = contents(tmp_path / "run")
    path = tmp_path / "run" / "batch-000001.json"
    path.write_bytes(path.read_bytes()[:100])
    run(model, folder=tmp_path / "run")
    assert contents(tmp_path / "run") == before


def test_a_folder_is_of_one_run(model: pw.Model, tmp_path: Path) -> None:
    run(model, folder=tmp_path / "run")
    settings = json.loads((tmp_path / "run" / "settings.json").read_text("utf-8"))
    assert settings["pullback_widgets"] == pw.__version__
    assert len(settings["weights"]) == 64
    for options, what in (
        ({"seed": 2}, "seed"),
        ({"images": IMAGES[::-1]}, "images_hash"),
        ({"methods": {"relative": pw.Softening.relative(0.5)}}, "methods"),
    ):
        with pytest.raises(ValueError, match=f"was begun with another {what}; go back"):
            run(model, folder=tmp_path / "run", **options)  # type: ignore[arg-type]
    other = wrap(network("chain", seed=1))
    with pytest.raises(ValueError, match="another weights"):
        run(other, folder=tmp_path / "run")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years")
    with pytest.raises(ValueError, match="holds other files"):
        run(model, folder=tmp_path / "full")


def test_stop_keeps_what_there_is(model: pw.Model, tmp_path: Path) -> None:
    event = threading.Event()

    def report(progress: Progress) -> None:
        if progress.done >= 4:
            event.set()

    found = run(model, folder=tmp_path / "run", progress=report, stop=event.is_set)
    assert found.n == 4 and not found.complete
    assert "Stopped after 4 of 5 images." in found.warnings
    again = run(model, folder=tmp_path / "run", stop=lambda: False)
    assert again.complete and same(again, run(model))
    with pytest.raises(ValueError, match="stopped before the first"):
        run(model, stop=lambda: True)


def test_an_interrupt_keeps_what_there_is(model: pw.Model) -> None:
    def report(progress: Progress) -> None:
        raise KeyboardInterrupt

    before = state_of(model.module)
    found = run(model, progress=report)
    assert found.n == 2 and not found.complete
    assert state_of(model.module) == before


def test_progress_says_how_long(model: pw.Model) -> None:
    seen: list[Progress] = []
    run(model, progress=seen.append)
    assert [one.done for one in seen] == [2, 4, 5]
    assert seen[-1].share == 1 and seen[0].left is not None
    assert str(Progress(4, 200, 4, 2.0)) == "4 of 200 images, 2 a second, 2 min left"
    assert str(Progress(4, None, 4, 2.0)) == "4 images, 2 a second"
    assert str(Progress(4, 5000, 0, 0.0)) == "4 of 5000 images"
    assert str(Progress(10, 100_000, 10, 10.0)).endswith("27.8 h left")


# What is as it was --------------------------------------------------------------------------------


class Rude:
    """An explainer that leaves everything behind it."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.error: BaseException | None = None

    def attribute(self, inputs: Tensor, target: Tensor) -> Tensor:
        for one in self.module.modules():
            one.register_forward_hook(lambda *_: None)
            one.register_forward_pre_hook(lambda *_: None)
        self.module.train()
        for parameter in self.module.parameters():
            parameter.requires_grad_(not parameter.requires_grad)
        self.module(inputs).sum().backward()
        if self.error is not None:
            raise self.error
        assert inputs.grad is not None
        return inputs.grad


@pytest.mark.parametrize("name", ["chain", "residual"])
@pytest.mark.parametrize("error", [None, ValueError("no"), KeyboardInterrupt()])
def test_the_network_is_as_it_was(name: str, error: BaseException | None) -> None:
    model = wrap(network(name))
    model.module.train()
    next(model.module.parameters()).requires_grad_(False)
    rude = Rude(model.module)
    rude.error = error
    before = state_of(model.module)
    with contextlib.nullcontext() if error is None else pytest.raises(type(error)):
        run(model, methods=[rude], metrics=[*pw.METRICS], second=model)
    assert state_of(model.module) == before


# Memory -------------------------------------------------------------------------------------------


def test_memory_does_not_grow_with_the_images(model: pw.Model) -> None:
    alive: weakref.WeakSet[Tensor] = weakref.WeakSet()
    most = 0

    def many() -> Iterator[Tensor]:
        nonlocal most
        for n in range(200):
            one = image(n)
            alive.add(one)
            most = max(most, len(alive))
            yield one
            del one

    seen: list[int] = []

    def report(progress: Progress) -> None:
        if progress.done % 40 == 0:
            gc.collect()
            seen.append(sum(issubclass(type(one), Tensor) for one in gc.get_objects()))

    found = run(
        model, many(), batch_size=8, metrics=["deletion", "localisation"], progress=report,
        methods=RELATIVE,
    )  # fmt: skip
    assert found.n == 200
    assert most <= 32 + 2 * 8 + 1  # those of mosaics, a batch, and the next one
    assert seen[-1] <= seen[0] + 8


def test_a_data_set_is_read_image_by_image() -> None:
    read: list[int] = []

    class Recorded(Data):
        def __getitem__(self, number: int) -> tuple[Tensor, int]:
            read.append(number)
            return super().__getitem__(number)

    images = opened(Recorded())
    assert images.count == 5 and not read
    rest = iter(images)
    next(rest)
    assert read == [0]
    assert [one.number for one in opened(list(IMAGES)).part(1, 2)] == [1, 3]
