"""A recorded forward pass and what is read off it; most invariants of the definitions."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from networks import (
    CATEGORIES,
    CLASSES,
    NETWORKS,
    SIZE,
    SOFTENINGS,
    FunctionalBlock,
    Residual,
    image,
    network,
    plain_gradient,
    seeded,
    wrap,
)
from torch import Tensor, nn

import pullback_widgets as pw

pytestmark = pytest.mark.usefixtures("device")

HARD = pw.Softening.hard()
MORE_SOFTENINGS = [
    *SOFTENINGS.values(),
    pw.Softening.relative(0.1),
    pw.Softening.paper_v3(2.0),
    pw.Softening.paper_v6(0.05),
    pw.Softening.relative(0.85).with_factors({"layer1": 2.0, "conv1": 0.5}),
]
every_network = pytest.mark.parametrize("name", NETWORKS)
every_softening = pytest.mark.parametrize("softening", SOFTENINGS.values(), ids=SOFTENINGS)


# Invariants --------------------------------------------------------------------------------------


@every_network
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_invariant_1_softened_forward_is_the_forward_bit_for_bit(
    name: str, dtype: torch.dtype
) -> None:
    net, batch = network(name).to(dtype), image(1, batch=2).to(dtype)
    session = pw.Session(wrap(net), batch)
    session.pullback(0)
    assert session.logits.dtype == dtype
    assert torch.equal(session.logits, net(batch))


@every_network
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_invariant_2_hard_softening_is_autograd_bit_for_bit(name: str, dtype: torch.dtype) -> None:
    net, picture = network(name).to(dtype), image(1).to(dtype)
    session = pw.Session(wrap(net), picture)
    for index in range(CLASSES):
        expected = plain_gradient(lambda x: net(x)[:, index], picture)  # noqa: B023
        assert torch.equal(session.pullback(index, softening=HARD), expected)


@every_network
@pytest.mark.parametrize("preset", ["paper_v3", "paper_v6"])
def test_invariant_2_cold_absolute_softening_is_autograd(name: str, preset: str) -> None:
    net, picture = network(name), image(1)
    if name == "mobile":
        # The soft ReLU6 has no upper gate, so the limit is the plain gradient below 6 only.
        with torch.no_grad():
            net.bn1.weight.mul_(0.3)
            net.bn2.weight.mul_(0.3)
    if (name, preset) == ("mixed", "paper_v6"):
        net.gelu = nn.ELU()  # a cold GELU of version 6 is a ReLU in the backward pass
    cold = getattr(pw.Softening, preset)(1e-8)
    expected = plain_gradient(lambda x: net(x)[:, 2], picture)
    p = pw.pullback(wrap(net), picture, 2, softening=cold)
    torch.testing.assert_close(p, expected, rtol=0, atol=1e-6)


def test_softening_does_something() -> None:
    """Guards the equalities above: on these networks hard and soft differ visibly."""
    for name in NETWORKS:
        net, picture = network(name), image(1)
        session = pw.Session(wrap(net), picture)
        hard = session.pullback(2, softening=HARD)
        for key in ("paper_v3", "paper_v6", "relative"):
            soft = session.pullback(2, softening=SOFTENINGS[key])
            assert (soft - hard).abs().max() > 1e-3 * hard.abs().max(), (name, key)


def test_invariant_3_the_score_is_locally_affine_with_the_hard_pullback() -> None:
    net, picture = network("chain"), image(1)
    session = pw.Session(wrap(net), picture)
    p = session.pullback(3, softening=HARD)
    step = image(2) * 1e-7
    moved = pw.Session(wrap(net), picture + step)
    assert moved.score(3) - session.score(3) == pytest.approx(float((p * step).sum()), abs=1e-14)


def test_invariant_3_the_score_is_pullback_times_image_plus_bias_contributions() -> None:
    net, picture = network("chain"), image(1)
    score = net(picture[None])[0, 3]
    biases = [bias for name, bias in net.named_parameters() if name.endswith("bias")]
    shares = torch.autograd.grad(score, biases)
    z0 = sum(float((b.detach() * share).sum()) for b, share in zip(biases, shares, strict=True))
    session = pw.Session(wrap(net), picture)
    p = session.pullback(3, softening=HARD)
    assert session.score(3) == pytest.approx(float((p * picture).sum()) + z0, abs=1e-12)


# Invariant 4, the authors' outputs, is in test_reference.py.


@every_softening
def test_invariant_5_functional_relu_is_its_module_twin(softening: pw.Softening) -> None:
    modules, functions = Residual(), Residual(FunctionalBlock)
    seeded(modules)
    seeded(functions).load_state_dict(modules.state_dict())
    picture = image(1)
    a, b = (pw.pullback(wrap(net), picture, 2, softening=softening) for net in (modules, functions))
    assert torch.equal(a, b)


@every_network
@pytest.mark.parametrize("batch", [None, 2])
def test_invariant_6_many_backward_passes_equal_fresh_runs_bit_for_bit(
    name: str, batch: int | None
) -> None:
    net, picture = network(name), image(1, batch)
    session = pw.Session(wrap(net), picture)
    for _ in range(2):
        for index, softening in enumerate(MORE_SOFTENINGS):
            target = index % CLASSES
            p = session.pullback(target, softening=softening)
            fresh = pw.Session(wrap(net), picture).pullback(target, softening=softening)
            assert torch.equal(p, fresh)


def test_invariant_6_holds_across_targets_of_all_kinds() -> None:
    net, picture = network("residual"), image(1)
    session = pw.Session(wrap(net), picture)
    targets: list[Any] = [
        1,
        pw.Channel("layer1", 2),
        pw.Unit("layer1.relu", 1, (1, 2)),
        pw.Difference(pw.Logit(0), pw.Channel("bn", 1)),
        None,
        "espresso",
    ]
    for target in [*targets, *reversed(targets)]:
        fresh = pw.pullback(wrap(net), picture, target)
        assert torch.equal(session.pullback(target), fresh)


def test_an_earlier_pullback_is_not_overwritten_by_a_later_one() -> None:
    session = pw.Session(wrap(network("chain")), image(1))
    p = session.pullback(1)
    kept = p.clone()
    session.pullback(2, softening=HARD)
    assert torch.equal(p, kept)


@every_network
@every_softening
def test_invariant_7_a_batch_equals_its_images_one_by_one(
    name: str, softening: pw.Softening
) -> None:
    net, batch, targets = network(name), image(1, batch=3), [4, 0, 2]
    session = pw.Session(wrap(net), batch)
    together = session.pullback(targets, softening=softening)
    assert together.shape == batch.shape
    for i, target in enumerate(targets):
        alone = pw.pullback(wrap(net), batch[i], target, softening=softening)
        assert alone.shape == batch[i].shape
        torch.testing.assert_close(together[i], alone, rtol=0, atol=1e-12)


# Invariant 8, the model as it was, is in test_untouched.py.


# Shapes, defaults, batches -----------------------------------------------------------------------


def test_default_target_is_the_networks_own_class_and_default_softening_relative() -> None:
    net, batch = network("mobile"), image(1, batch=4)
    own = net(batch).argmax(1).tolist()
    assert len(set(own)) > 1, "the test needs images of different classes"
    session = pw.Session(wrap(net), batch)
    expected = session.pullback(own, softening=pw.Softening.relative(0.85))
    assert torch.equal(session.pullback(), expected)
    assert torch.equal(session.pullback(None), expected)
    single = pw.Session(wrap(net), batch[0])
    assert torch.equal(single.pullback(), single.pullback(own[0]))
    assert torch.equal(pw.pullback(wrap(net), batch[0]), single.pullback(own[0]))


def test_one_target_serves_a_whole_batch() -> None:
    session = pw.Session(wrap(network("chain")), image(1, batch=3))
    assert torch.equal(session.pullback(2), session.pullback([2, 2, 2]))


def test_a_batch_of_one_keeps_its_dimension() -> None:
    net, picture = network("chain"), image(1)
    session = pw.Session(wrap(net), picture[None])
    single = pw.Session(wrap(net), picture)
    assert session.logits.shape == (1, CLASSES)
    assert single.logits.shape == (CLASSES,)
    assert session.image.shape == (1, 3, SIZE, SIZE)
    assert single.image.shape == (3, SIZE, SIZE)
    assert torch.equal(session.pullback(1)[0], single.pullback(1))
    assert session.activations("conv1").shape == (1, *single.activations("conv1").shape)


@pytest.mark.parametrize("targets", [[1], [1, 2, 3], []])
def test_a_list_of_targets_must_have_one_per_image(targets: list[int]) -> None:
    session = pw.Session(wrap(network("chain")), image(1, batch=2))
    with pytest.raises(ValueError):
        session.pullback(targets)


def test_results_are_detached_and_the_images_own() -> None:
    picture = image(1)
    session = pw.Session(wrap(network("chain")), picture)
    for tensor in (session.image, session.logits, session.pullback(1), session.activations("pool")):
        assert not tensor.requires_grad
        assert tensor.grad_fn is None
    assert torch.equal(session.image, picture.cpu())
    picture.zero_()
    assert torch.equal(session.image, image(1).cpu())


def test_the_normalisation_is_part_of_the_pullback() -> None:
    net, picture = network("chain"), image(1)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    model = pw.Model(net, mean=mean, std=std, size=SIZE)

    def score(x: Tensor) -> Tensor:
        m, s = (picture.new_tensor(v).reshape(3, 1, 1) for v in (mean, std))
        return net(((x + 1) / 2 - m) / s)[:, 2]

    session = pw.Session(model, picture)
    assert float(session.logits[2]) == pytest.approx(score(picture[None]).item(), abs=1e-12)
    expected = plain_gradient(score, picture)
    torch.testing.assert_close(session.pullback(2, softening=HARD), expected, rtol=0, atol=1e-12)


# Predictions -------------------------------------------------------------------------------------


def test_predictions_are_the_sorted_softmax() -> None:
    net, picture = network("residual"), image(1)
    session = pw.Session(wrap(net), picture)
    probabilities = session.logits.softmax(0)
    order = probabilities.argsort(descending=True).tolist()
    predictions = session.predictions(5)
    assert [p.index for p in predictions] == order[:5]
    for p in predictions:
        assert p.name == CATEGORIES[p.index]
        assert p.probability == pytest.approx(float(probabilities[p.index]), rel=1e-6)
        assert p.logit == pytest.approx(float(session.logits[p.index]), rel=1e-6)


def test_predictions_of_a_batch_are_lists_of_lists() -> None:
    net, batch = network("residual"), image(1, batch=3)
    lists = pw.Session(wrap(net), batch).predictions(2)
    assert [len(some) for some in lists] == [2, 2, 2]
    for picture, some in zip(batch, lists, strict=True):
        alone = pw.Session(wrap(net), picture).predictions(2)
        assert [p.index for p in some] == [p.index for p in alone]


def test_more_predictions_than_classes_are_all_classes() -> None:
    assert len(pw.Session(wrap(network("chain")), image(1)).predictions(1000)) == CLASSES


# Activations -------------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", ["relu", "layer1", "pool"])
def test_the_strongest_channels_of_a_layer(layer: str) -> None:
    session = pw.Session(wrap(network("residual")), image(1))
    values = session.activations(layer).float()
    everywhere = values.clamp_min(0).reshape(len(values), -1).mean(1)
    for k in (1, 3, 1000):
        found = session.strongest(layer, k=k)
        assert [value for _, value in found] == everywhere.sort(descending=True).values[:k].tolist()
        assert all(value == everywhere[channel] for channel, value in found)
    if layer != "pool":
        found = session.strongest(layer, (1, 2), k=2)
        assert found == [(c, float(values[c, 1, 2])) for c in values[:, 1, 2].topk(2).indices]


def test_the_strongest_channels_of_no_layer_place_or_batch() -> None:
    net = wrap(network("residual"))
    session = pw.Session(net, image(1))
    with pytest.raises(ValueError, match="nearest: layer1"):
        session.strongest("layer1x")
    with pytest.raises(ValueError, match=r"Position \(99, 0\) does not fit layer 'layer1'"):
        session.strongest("layer1", (99, 0))
    with pytest.raises(ValueError, match="This session has 2 images; expected one"):
        pw.Session(net, image(1, batch=2)).strongest("layer1")


def watch(net: nn.Module, x: Tensor, names: list[str]) -> dict[str, list[tuple[Tensor, Tensor]]]:
    """Inputs and outputs of every call of some modules, copied before they are overwritten."""
    seen: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in names}
    entering: list[Tensor] = []
    handles = []
    for name in names:
        module = net.get_submodule(name)
        handles.append(
            module.register_forward_pre_hook(lambda m, args: entering.append(args[0].clone()))
        )
        handles.append(
            module.register_forward_hook(
                lambda m, args, out, name=name: seen[name].append((entering.pop(), out.clone()))
            )
        )
    with torch.no_grad():
        net(x)
    for handle in handles:
        handle.remove()
    return seen


def numbered(name: str, call: int) -> str:
    return name if call == 0 else f"{name}:{call + 1}"


@every_network
@pytest.mark.parametrize("batch", [None, 2])
def test_activations_are_pre_activations_or_outputs_before_being_overwritten(
    name: str, batch: int | None
) -> None:
    """In-place ReLUs and `out += identity` overwrite many of these tensors later."""
    net, picture = network(name), image(1, batch)
    leaves = [n for n, m in net.named_modules() if n and not list(m.children())]
    rectifying = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.GELU)
    session = pw.Session(wrap(net), picture)
    session.pullback(0)
    for layer, calls in watch(net, picture.reshape(-1, 3, SIZE, SIZE), leaves).items():
        for call, (entered, left) in enumerate(calls):
            expected = entered if isinstance(net.get_submodule(layer), rectifying) else left
            expected = expected if batch else expected[0]
            assert torch.equal(session.activations(numbered(layer, call)), expected), layer


def test_activations_of_containers_are_their_outputs() -> None:
    net, picture = network("residual"), image(1)
    seen = watch(net, picture[None], ["layer1", "layer10"])
    session = pw.Session(wrap(net), picture)
    for name, ((_, left),) in seen.items():
        assert torch.equal(session.activations(name), left[0])


def test_a_containers_output_is_kept_although_overwritten_by_the_next() -> None:
    net: Any = nn.Sequential(
        OrderedDict(
            stage=nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 1))),
            relu=nn.ReLU(inplace=True),
            add=nn.Flatten(),
            head=nn.Linear(4 * SIZE * SIZE, CLASSES),
        )
    )
    seeded(net)
    session = pw.Session(wrap(net), image(1))
    expected = net.stage.conv(image(1)[None])[0]
    for name in ("stage", "stage.conv", "relu"):
        assert torch.equal(session.activations(name), expected)


# Layers ------------------------------------------------------------------------------------------


def test_layers_are_in_forward_order_with_kind_and_shape() -> None:
    net = network("residual")
    model = wrap(net)
    layers = pw.layers(model)
    assert layers == pw.Session(model, image(1)).layers
    names = [layer.name for layer in layers]
    assert len(set(names)) == len(names)
    leaves = [n for n, m in net.named_modules() if n and not list(m.children())]
    in_block = ["conv1", "bn1", "relu", "conv2", "bn2", "relu:2"]
    assert [n for n in names if n.split(":")[0] in leaves] == [
        *["conv", "bn", "relu", "maxpool"],
        *(f"layer1.{n}" for n in in_block),
        *(f"layer10.{n}" for n in in_block),
        *["pool", "head"],
    ]
    by_name = {layer.name: layer for layer in layers}
    assert tuple(by_name["conv"].shape) == (4, SIZE, SIZE)
    assert tuple(by_name["layer1"].shape) == (4, SIZE // 2, SIZE // 2)
    assert tuple(by_name["head"].shape) == (CLASSES,)
    assert by_name["layer1"].kind == "Block"
    assert by_name["layer1.relu:2"].kind == "ReLU"
    assert by_name["pool"].kind == "AdaptiveAvgPool2d"
    assert names.index("conv") < names.index("layer1") < names.index("layer10")


def test_shapes_of_layers_have_no_batch_dimension_and_fit_the_activations() -> None:
    session = pw.Session(wrap(network("mixed")), image(1, batch=2))
    for layer in session.layers:
        assert session.activations(layer.name).shape == (2, *layer.shape)


def test_functional_networks_have_their_modules_as_layers() -> None:
    names = [layer.name for layer in pw.layers(wrap(network("dense")))]
    expected = ["conv1", "bn1", "conv2", "bn2", "drop", "bn3", "head"]
    assert [n for n in names if n in expected] == expected


@pytest.mark.parametrize(
    ("wrong", "nearest"), [("layr1.bn2", "layer1.bn2"), ("maxpol", "maxpool"), ("Head", "head")]
)
def test_an_unknown_layer_names_the_nearest(wrong: str, nearest: str) -> None:
    session = pw.Session(wrap(network("residual")), image(1))
    uses: list[Callable[[], Any]] = [
        lambda: session.activations(wrong),
        lambda: session.pullback(pw.Channel(wrong, 0)),
        lambda: session.score(pw.Channel(wrong, 0)),
        lambda: next(session.ascend(pw.Channel(wrong, 0))),
    ]
    for use in uses:
        with pytest.raises(ValueError, match=nearest) as caught:
            use()
        assert wrong in str(caught.value)


@pytest.mark.parametrize("unknown", ["", "relu:3", "layer1.relu:3", "zzzzzz"])
def test_unknown_layers_are_value_errors(unknown: str) -> None:
    session = pw.Session(wrap(network("residual")), image(1))
    with pytest.raises(ValueError):
        session.activations(unknown)
