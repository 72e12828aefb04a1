"""Models and softenings copy and pickle."""

import copy
import io
import pickle
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from networks import SIZE, image, network, wrap
from torch import Tensor, nn

import pullback_widgets as pw


def again(model: pw.Model) -> pw.Model:
    found = pickle.loads(pickle.dumps(model))
    assert isinstance(found, pw.Model)
    return found


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, again])
def test_a_model_copies(way: object) -> None:
    model = wrap(network("chain"))
    expected = pw.pullback(model, image(1), 2)
    twin = way(model)  # type: ignore[operator]
    assert twin is not model and (twin.module is model.module) == (way is copy.copy)
    assert (twin.lock is model.lock) == (way is copy.copy)
    assert (twin.mean, twin.categories, twin.name) == (model.mean, model.categories, model.name)
    assert torch.equal(pw.pullback(twin, image(1), 2), expected)
    if way is not copy.copy:
        with torch.no_grad():
            for parameter in model.module.parameters():
                parameter.zero_()
        assert torch.equal(pw.pullback(twin, image(1), 2), expected)


def test_a_copy_goes_with_what_it_stands_in() -> None:
    model = wrap(network("chain"))
    both = copy.deepcopy({"model": model, "module": model.module, "again": model})
    assert both["model"] is both["again"] and both["model"].module is both["module"]  # type: ignore[union-attr]


def test_a_model_is_saved_by_torch() -> None:
    model, file = wrap(network("residual")), io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    twin = torch.load(file, weights_only=False)
    assert torch.equal(pw.pullback(twin, image(1), 1), pw.pullback(model, image(1), 1))


@pytest.mark.parametrize(
    "softening",
    [
        pw.Softening.hard(),
        pw.Softening.paper_v3(),
        pw.Softening.relative(0.3).with_factors({"a": 2}),
    ],
)
def test_a_softening_copies(softening: pw.Softening) -> None:
    for twin in (
        copy.copy(softening),
        copy.deepcopy(softening),
        pickle.loads(pickle.dumps(softening)),
    ):
        assert twin == softening and hash(twin) == hash(softening)


class Keeps(nn.Module):
    """Remembers its features, as code for class activation maps does."""

    def __init__(self) -> None:
        super().__init__()
        self.body = network("chain")
        self.feature: Tensor | None = None
        self.all: dict[str, list[Tensor]] = {}

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        self.feature, self.all = out, {"out": [out * 2]}
        return out


def normed() -> nn.Module:
    with pytest.warns(FutureWarning):
        conv = nn.utils.weight_norm(nn.Conv2d(3, 4, 3))
    return nn.Sequential(conv, nn.ReLU(), nn.Flatten()).double()


@pytest.mark.parametrize("make", [Keeps, normed])
def test_a_network_that_keeps_a_result_is_copied(make: type[nn.Module]) -> None:
    module = make()
    module(image(1)[None])
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(module)
    model = wrap(module)
    expected = pw.pullback(model, image(1), 1)
    assert torch.equal(pw.pullback(copy.deepcopy(model), image(1), 1), expected)
    assert pw.Model(module, size=SIZE, device="meta").device.type == "meta"


def test_what_cannot_be_copied_is_said() -> None:
    module = network("chain")
    module.lock = threading.Lock()  # type: ignore[assignment]
    says = "The network Chain cannot be copied .TypeError: cannot pickle.*build it anew"
    with pytest.raises(TypeError, match=says):
        pw.Model(module, size=SIZE, device="meta")
    with pytest.raises(TypeError, match=says):
        copy.deepcopy(wrap(module))


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
@pytest.mark.parametrize("batch", [None, 2])
def test_a_session_is_recorded_anew(way: Callable[[pw.Session], pw.Session], batch: int) -> None:
    session = pw.Session(wrap(network("residual")), image(1, batch=batch))
    twin = way(session)
    assert twin.recording is not session.recording
    assert torch.equal(twin.image, session.image)
    assert torch.equal(twin.pullback(1), session.pullback(1))


RESULTS: dict[str, Callable[[pw.Model], Any]] = {
    "comparison": lambda model: pw.compare(model, image(1), 1),
    "strip": lambda model: pw.temperature_strip(model, image(1), 1, temperatures=[0.5, 1]),
    "grid": lambda model: pw.counterfactual_grid(model, [image(1)], ["cat"], steps=1),
    "journey": lambda model: pw.depth_journey(model, image(1), steps=1),
    "report": pw.report,
}


@pytest.mark.parametrize("name", RESULTS)
def test_results_copy_and_pickle(name: str) -> None:
    result = RESULTS[name](wrap(network("residual")))
    for twin in (copy.copy(result), copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert type(twin) is type(result)
        if name != "report":
            one, other = twin._repr_png_(), result._repr_png_()
            assert one == other
