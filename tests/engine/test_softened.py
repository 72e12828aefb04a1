"""Explainers that know nothing of soft gates, inside ``pw.softened``."""

from __future__ import annotations

import copy
import threading
from typing import Any

import pytest
import torch
from captum.attr import InputXGradient, IntegratedGradients, LayerGradCam, NoiseTunnel, Saliency
from networks import Excited, image, seeded, wrap
from torch import Tensor, nn
from torch.nn.modules import module as torch_module

import pullback_widgets as pw

S = pw.Softening
SOFTENINGS = [S.relative(), S.paper_v3(), S.paper_v6(), S.held(), S.hard()]


def network() -> pw.Model:
    return wrap(seeded(Excited()))


def images() -> Tensor:
    return torch.stack([image(1), image(2)])


def hooks() -> tuple[int, ...]:
    return (
        len(torch_module._global_forward_hooks),
        len(torch_module._global_forward_pre_hooks),
        len(torch_module._global_forward_hooks_always_called),
        torch._C._len_torch_function_stack(),
    )


@pytest.mark.parametrize("softening", SOFTENINGS)
def test_gradients_inside_are_pullbacks(softening: pw.Softening) -> None:
    model = network()
    wanted = pw.Session(model, images()).pullback([1, 2], softening)
    with pw.softened(model, softening) as module:
        assert module is model.module
        found = Saliency(module).attribute(images(), torch.tensor([1, 2]), abs=False)
        x = images().requires_grad_()
        out = module(x)
    assert torch.equal(found, wanted)
    assert torch.equal(out.detach(), model.module(images()).detach())  # bit for bit
    out[[0, 1], [1, 2]].sum().backward()  # outside, of what ran inside
    assert x.grad is not None and torch.equal(x.grad, wanted)


@pytest.mark.parametrize("softening", SOFTENINGS)
def test_integrated_gradients_are_integrated_pullbacks(softening: pw.Softening) -> None:
    model, steps = network(), 8
    baseline = torch.zeros_like(image(1))
    by_hand = sum(
        pw.pullback(model, baseline + (step + 0.5) / steps * (image(1) - baseline), 1, softening)
        for step in range(steps)
    ) * (image(1) - baseline) / steps  # fmt: skip
    with pw.softened(model, softening) as module:
        found = IntegratedGradients(module).attribute(
            image(1)[None], baseline[None], 1, n_steps=steps, method="riemann_middle"
        )
    assert torch.allclose(found[0], by_hand, rtol=1e-10, atol=1e-14)


def test_other_explainers_run() -> None:
    model = network()
    p = pw.pullback(model, image(1), 1)
    with pw.softened(model) as module:
        product = InputXGradient(module).attribute(image(1)[None], 1)
        assert torch.allclose(product[0], image(1) * p, rtol=1e-12)
        tunnel = NoiseTunnel(Saliency(module))
        assert bool(tunnel.attribute(image(1)[None], nt_samples=3, stdevs=0.1, target=1).any())
        soft = LayerGradCam(module, module.second).attribute(image(1)[None], 1)
    hard = LayerGradCam(model.module, model.module.second).attribute(image(1)[None], 1)
    assert soft.shape == hard.shape and not torch.allclose(soft, hard)


def test_factors_of_layers_count() -> None:
    model = network()
    softening = S(0.5, factors={"gelu": 4.0})
    with pw.softened(model, softening) as module:
        found = Saliency(module).attribute(image(1)[None], 1, abs=False)
    assert torch.equal(found[0], pw.pullback(model, image(1), 1, softening))


def test_nothing_is_left_behind() -> None:
    model, before = network(), hooks()
    state = copy.deepcopy(model.module.state_dict())
    keys = set(model.module.__dict__)
    plain = Saliency(model.module).attribute(images(), 1, abs=False)
    with pw.softened(model) as module:
        module(images())
    assert hooks() == before and set(model.module.__dict__) == keys
    assert all(torch.equal(value, state[name]) for name, value in module.state_dict().items())
    assert torch.equal(Saliency(module).attribute(images(), 1, abs=False), plain)


def test_a_compiled_network() -> None:
    model = network()
    compiled = torch.compile(model.module, backend="eager")
    softening = S.paper_v3()
    wanted = pw.Session(model, images()).pullback([1, 1], softening)
    with pw.softened(compiled, softening) as module:
        assert torch.equal(Saliency(module).attribute(images(), 1, abs=False), wanted)
        assert torch.equal(Saliency(compiled).attribute(images(), 1, abs=False), wanted)


class Interrupted(nn.Module):
    def __init__(self, error: type[BaseException]) -> None:
        super().__init__()
        self.error, self.linear = error, nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        torch.relu(x)
        raise self.error("in the middle")


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_behind_by_an_error(error: type[BaseException]) -> None:
    before = hooks()
    with pytest.raises(error, match="in the middle"), pw.softened(Interrupted(error)) as module:
        module(images())
    assert hooks() == before


def test_other_threads_and_networks_are_as_they_were() -> None:
    model = network()
    other = copy.deepcopy(model.module)
    plain = Saliency(other).attribute(images(), 1, abs=False)
    found: list[Any] = []

    def elsewhere() -> None:
        found.append(Saliency(model.module).attribute(images(), 1, abs=False))

    with pw.softened(model):
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        assert torch.equal(Saliency(other).attribute(images(), 1, abs=False), plain)
    assert torch.equal(found[0], plain)


def test_without_gradients_nothing_happens() -> None:
    with torch.no_grad(), pw.softened(network()) as module:
        assert not module(images()).requires_grad


def test_what_the_network_must_be_called_with() -> None:
    with pw.softened(network()) as module:
        with pytest.raises(TypeError, match="no positional argument; expected the batch of images"):
            module(x=images())
        with pytest.raises(TypeError, match=r"shape \(2, 3\) and type torch.int64"):
            module(torch.zeros(2, 3, dtype=torch.int64))
    with pytest.raises(TypeError, match=r"expected a pw\.Softening"), pw.softened(network(), 0.5):  # type: ignore[arg-type]
        pass
