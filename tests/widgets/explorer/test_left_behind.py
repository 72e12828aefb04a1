"""What the Explorer leaves behind: an untouched model, and no memory."""

import gc
import os
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from explorers import Hold, Make, Moody, fails, fresh, oom, right
from networks import image, network, wrap
from torch import Tensor, nn
from waiting import SECONDS, until
from widgets import Page, everything

import pullback_widgets as pw
from pullback_widgets.engine.recording import Recording
from pullback_widgets.figures.snapshot import VIEWS
from pullback_widgets.figures.snapshot_cache import MEGABYTES
from pullback_widgets.widgets.explorer.panels import PRESETS
from pullback_widgets.widgets.kit import worker as worker_module


def fingerprint(module: nn.Module) -> dict[str, Any]:
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    return {
        "values": {name: tensor.detach().numpy().tobytes() for name, tensor in tensors.items()},
        "tensors": {
            name: (id(tensor), tensor._version, tensor.requires_grad, tensor.grad is None)
            for name, tensor in tensors.items()
        },
        "modules": {
            name: (one.training, sorted(vars(one)), len(one._forward_hooks), type(one).forward)
            for name, one in module.named_modules()
        },
        "global hooks": len(torch.nn.modules.module._global_forward_hooks),
        "modes": torch._C._len_torch_function_stack(),
    }


def test_the_model_is_untouched(explore: Make, page: Page) -> None:
    net = Moody()
    net.body.layer1.train()
    next(net.parameters()).requires_grad_(False)
    before = fingerprint(net)
    explorer = explore(wrap(net))
    for choices in (
        {"target": "golf ball", "temperature": 0.2},
        {"layer": "body.layer1", "position": (1, 1), "view": "perturbed", "steps": 2},
        {"target": pw.Difference(0, 1), "softening": pw.Softening.paper_v3()},
        {"image": "chelsea"},
    ):
        explorer.choose(**choices)
        explorer.wait(SECONDS)
    explorer.choose(steps=100, view="difference")
    explorer.stop()
    for mood in (fails, oom):
        net.mood = mood
        explorer.image = image(2)
        explorer.wait(SECONDS)
        explorer.image = image(3)
        explorer.wait(SECONDS)
    net.mood = before["modules"] and (lambda y: y)
    explorer.choose(image=image(4), steps=2)
    right(explorer, page)
    assert fingerprint(net) == before


def resident() -> int:
    """Bytes of memory of this process; 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


def living() -> tuple[int, int, int]:
    """Tensors, recordings, and all objects that Python knows."""
    gc.collect()
    kinds = [type(one) for one in gc.get_objects()]
    tensors = sum(kind in (Tensor, nn.Parameter) for kind in kinds)
    return tensors, kinds.count(Recording), len(kinds)


@pytest.fixture
def only_what_is_new() -> Iterator[None]:
    """Hides from the garbage collector, and so from `living`, what other tests have left."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("only_what_is_new")
def test_memory_is_flat(explore: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    """500 updates leave nothing behind, be it tensors, recordings or anything else."""
    monkeypatch.setenv(MEGABYTES, "0.02")
    explorer = explore(layer="layer1", steps=2)

    def update(number: int) -> None:
        changes: list[dict[str, Any]] = [
            {"temperature": 0.1 + (number % 7) / 10},
            {"position": (number % 4, number % 3)},
            {"target": number % 6},
            {"layer": ("relu", "layer1", "layer10")[number % 3]},
            {"view": VIEWS[number // 10 % 5]},
            {"temperature": 0.0},
            {"channel": number % 4},
            {"wipe": number % 2 / 2},
            {"softening": list(PRESETS.values())[number % 4]},
            {"image": image(number % 3)} if number % 50 == 9 else {"layer": "layer1"},
        ]
        explorer.choose(**changes[number % 10])
        assert explorer.wait(SECONDS) and explorer.error == ""

    for number in range(100):
        update(number)
    before, memory = living(), resident()
    for number in range(500):
        update(number + 100)
    after = living()
    assert after[0] <= before[0] + 30
    assert after[1] <= before[1] + 1
    assert after[2] <= before[2] + 500  # less than one object for each update
    assert resident() - memory <= 30 * 2**20


def test_old_explorers_keep_no_sessions(explore: Make) -> None:
    model = wrap(network("residual"))
    explorers = [explore(model) for _ in range(4)]
    gc.collect()
    sessions = [one for one in gc.get_objects() if type(one) is pw.Session and one.model is model]
    assert len(sessions) <= 2
    for number, explorer in enumerate(explorers):  # and all of them go on
        explorer.temperature = 0.1 + number
        assert torch.equal(explorer.pullback, fresh(explorer).pullback)


def test_a_closed_explorer_is_freed(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "IDLE_SECONDS", 0.05)
    explorer = pw.Explorer(wrap(network("residual")), image(1))
    assert explorer.wait(SECONDS)
    open_before = len([one for one in everything(explorer) if one.comm is not None])
    assert open_before > 20
    widgets = list(everything(explorer))
    explorer.close()
    assert [type(one).__name__ for one in widgets if one.comm is not None] == []
    gone = weakref.ref(explorer)
    del explorer, widgets
    until(lambda: gc.collect() >= 0 and gone() is None)


def test_closing_while_computing(page: Page, hold: Hold) -> None:
    explorer = pw.Explorer(wrap(network("residual")), image(1), steps=50, step_size=0.1)
    assert explorer.wait(SECONDS)
    explorer.play()
    explorer.close()
    assert explorer.wait(SECONDS)


def test_a_closed_explorer_computes_nothing(explorer: pw.Explorer) -> None:
    explorer.close()
    explorer.temperature = 0.2
    assert explorer.wait(SECONDS)
    assert not explorer.error
