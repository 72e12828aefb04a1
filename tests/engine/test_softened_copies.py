"""Explainers that copy a network, and hooks of others, inside ``pw.softened``."""

from __future__ import annotations

import copy
import io
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import Saliency
from networks import Excited, image, seeded, wrap
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.nn.modules import module as torch_module

import pullback_widgets as pw

S = pw.Softening
CHOSEN = [S.relative(), S.paper_v3(), S.held(), S(0.5, factors={"gelu": 4.0})]


def network() -> pw.Model:
    return wrap(seeded(Excited()))


def images() -> Tensor:
    return torch.stack([image(1), image(2)])


class Wrapper:
    """Holds a network and hands out copies, as Quantus's do."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module

    def randomised(self) -> nn.Module:
        module = copy.deepcopy(self.module)
        torch.manual_seed(1)
        for child in module.modules():
            if hasattr(child, "reset_parameters"):
                child.reset_parameters()
        return module


def gradient(module: nn.Module) -> Tensor:
    return Saliency(module).attribute(images(), torch.tensor([1, 2]), abs=False)


def pullback(module: nn.Module, softening: pw.Softening) -> Tensor:
    return pw.Session(wrap(module), images()).pullback([1, 2], softening)


@pytest.mark.parametrize("softening", CHOSEN)
def test_copies_are_softened(softening: pw.Softening) -> None:
    model = network()
    with pw.softened(model, softening) as module:
        twins = [
            copy.deepcopy(module),
            copy.copy(module),
            copy.deepcopy(nn.Sequential(module))[0],
            copy.deepcopy(copy.deepcopy(module)),
        ]
        found = [gradient(twin) for twin in [module, *twins]]
    wanted = pullback(model.module, softening)
    assert all(torch.equal(one, wanted) for one in found)
    plain = gradient(copy.deepcopy(model.module))
    assert all(torch.equal(gradient(twin), plain) for twin in twins)


def test_copies_of_a_compiled_network_are_softened() -> None:
    model = network()
    compiled = torch.compile(model.module, backend="eager")
    wanted = pullback(model.module, S.paper_v3())
    with pw.softened(compiled, S.paper_v3()) as module:
        for twin in (copy.deepcopy(compiled), copy.deepcopy(nn.Sequential(module)), module):
            assert torch.equal(gradient(twin), wanted)


@pytest.mark.parametrize("softening", CHOSEN)
def test_a_copy_has_scales_of_its_own(softening: pw.Softening) -> None:
    model = network()
    with pw.softened(model, softening) as module:
        twin = Wrapper(module).randomised()
        first, original, again = gradient(twin), gradient(module), gradient(twin)
        with torch.no_grad():
            twin.second.weight.mul_(3)
        changed = gradient(twin)
    assert torch.equal(original, pullback(module, softening))
    assert torch.equal(changed, pullback(twin, softening))
    with torch.no_grad():
        twin.second.weight.div_(3)
    assert torch.equal(first, again)
    assert torch.allclose(first, pullback(twin, softening), rtol=1e-9)


def test_nothing_is_left_in_copies() -> None:
    model = network()
    keys = set(vars(model.module))
    with pw.softened(model) as module:
        twin = copy.deepcopy(module)
        gradient(twin)
        file = io.BytesIO()
        torch.save(copy.deepcopy(module), file)
    assert set(vars(module)) == set(vars(twin)) == keys
    assert b"pullback_widgets" not in file.getvalue()
    file.seek(0)
    again = torch.load(file, weights_only=False)
    assert torch.equal(gradient(again), gradient(module))


class Flat(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.linear(torch.relu(x).mean((2, 3)))
        return out


def test_a_graph_is_not_copied_in_silence() -> None:
    graph = fx.symbolic_trace(seeded(Flat()))
    with pw.softened(graph, S.paper_v3()) as module:
        with pytest.raises(TypeError, match="graph of torch.fx was copied"):
            copy.deepcopy(nn.Sequential(module))
        assert torch.equal(gradient(module), pullback(graph, S.paper_v3()))
    assert torch.equal(gradient(copy.deepcopy(graph)), gradient(graph))


def test_hooks_of_others_are_as_they_were() -> None:
    model = network()
    called: list[str] = []

    def noted(name: str) -> Any:
        return lambda *_: called.append(name)

    handles = [
        model.module.register_forward_pre_hook(noted("before")),
        model.module.gelu.register_forward_hook(noted("gelu")),
        model.module.second.register_full_backward_hook(noted("backward")),
        torch_module.register_module_forward_hook(noted("global")),
    ]
    plain = S(0.5, factors={"gelu": 4.0})  # factors need hooks of ours on layers
    try:
        before = (
            list(torch_module._global_forward_hooks.items()),
            [
                list(hooks.items())
                for child in model.module.modules()
                for hooks in (child._forward_pre_hooks, child._forward_hooks, child._backward_hooks)
            ],
        )
        with pw.softened(model, plain) as module:
            late = module.layer_norm.register_forward_hook(noted("late"))
            gradient(module)
        assert set(called) == {"before", "gelu", "backward", "global", "late"}
        assert list(module.layer_norm._forward_hooks) == [late.id]
        late.remove()
        after = (
            list(torch_module._global_forward_hooks.items()),
            [
                list(hooks.items())
                for child in model.module.modules()
                for hooks in (child._forward_pre_hooks, child._forward_hooks, child._backward_hooks)
            ],
        )
        assert after == before
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize("softening", CHOSEN)
def test_accelerate_offloads_inside(softening: pw.Softening) -> None:
    accelerate = pytest.importorskip("accelerate")
    model = network()
    wanted = pullback(model.module, softening)
    accelerate.cpu_offload(model.module, execution_device=torch.device("cpu"))
    hooks = [getattr(child, "_hf_hook", None) for child in model.module.modules()]
    forwards = [vars(child).get("forward") for child in model.module.modules()]
    with pw.softened(model, softening) as module:
        assert torch.equal(gradient(module), wanted)
        assert torch.equal(gradient(copy.deepcopy(module)), wanted)
    assert [getattr(child, "_hf_hook", None) for child in module.modules()] == hooks
    assert [vars(child).get("forward") for child in module.modules()] == forwards


def test_quantus_randomises_copies() -> None:
    quantus = pytest.importorskip("quantus")
    model = network()
    pairs: list[tuple[Tensor, Tensor]] = []

    def explain(
        model: nn.Module, inputs: Any, targets: Any, **options: object
    ) -> NDArray[np.float64]:
        x, at = torch.as_tensor(inputs).double(), torch.as_tensor(targets)
        found = Saliency(model).attribute(x, at, abs=False)
        pairs.append((found, pw.Session(wrap(model), x).pullback(at.tolist())))
        return found.mean(1, keepdim=True).numpy()

    metric = quantus.MPRT(disable_warnings=True, skip_layers=False)
    with pw.softened(model) as module:
        scores = metric(
            model=module,
            x_batch=images().numpy(),
            y_batch=np.array([1, 2]),
            explain_func=explain,
            device="cpu",
        )
    assert scores and len(pairs) > 3
    assert all(torch.allclose(*pair, rtol=1e-9) for pair in pairs)
    assert not torch.allclose(pairs[0][0], pairs[-1][0])
