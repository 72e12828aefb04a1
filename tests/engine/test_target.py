"""Targets: what they mean, what they refuse."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from networks import CATEGORIES, CLASSES, SIZE, image, network, plain_gradient, wrap
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.engine.target import same_target

pytestmark = pytest.mark.usefixtures("device")

HARD = pw.Softening.hard()
VECTOR = torch.tensor([0.5, -1.0, 0.0, 2.0], dtype=torch.float64)


def session_of(name: str = "residual", batch: int | None = None) -> pw.Session:
    return pw.Session(wrap(network(name)), image(1, batch))


# Classes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "index"),
    [
        (0, 0),
        (CLASSES - 1, CLASSES - 1),
        ("golf ball", 0),
        ("golf cart", 1),
        ("espresso", 4),
        (" Espresso ", 4),
        ("cat", 3),
        (pw.Logit(2), 2),
        (pw.Logit("golf cart"), 1),
    ],
    ids=str,
)
def test_a_class_by_index_or_name(target: Any, index: int) -> None:
    """An exact name wins over the names it is a part of: "cat", and not "tabby cat"."""
    session = session_of()
    assert session.score(target) == pytest.approx(float(session.logits[index]), rel=1e-6)
    assert torch.equal(session.pullback(target), session.pullback(index))


@pytest.mark.parametrize("make", [str, pw.Logit], ids=["str", "Logit"])
def test_a_part_of_a_name_is_offered_and_not_taken(make: Callable[[str], Any]) -> None:
    says = r"called 'golf'; did you mean golf ball \(0\) or golf cart \(1\)\? Give"
    with pytest.raises(ValueError, match=says):
        session_of().pullback(make("golf"))
    with pytest.raises(ValueError, match=r"called 'spoo'; did you mean spoon \(5\)\? Give"):
        session_of().pullback(make("spoo"))
    with pytest.raises(ValueError, match="called 'xyzzy'; give the whole name"):
        session_of().pullback(make("xyzzy"))


@pytest.mark.parametrize("text", ["cat, espresso", "3, espresso", " Cat,4"])
def test_two_names_are_a_difference(text: str) -> None:
    session = session_of()
    assert same_target(session.resolve(text)[0], pw.Difference(3, 4))
    assert torch.equal(session.pullback(text), session.pullback(pw.Difference("cat", "espresso")))
    assert torch.equal(pw.pullback(session.model, image(1), text), session.pullback(text))


def test_three_names_are_too_many() -> None:
    with pytest.raises(ValueError, match="are 3 classes; give one, or two with a comma"):
        session_of().pullback("cat, spoon, 4")


def test_a_name_between_commas_is_enough() -> None:
    """Timm's classes have several names each."""
    model = pw.Model(
        network("chain"), size=SIZE, categories=["tench, Tinca tinca", "a, b", "c", "d", "e", "f"]
    )
    for name, index in (("tench", 0), ("tinca Tinca", 0), ("tench, Tinca tinca", 0), ("a, b", 1)):
        assert pw.Session(model, image(1)).resolve(name) == [pw.Logit(index)]


def test_a_name_of_two_classes_needs_the_index() -> None:
    model = pw.Model(
        network("chain"), size=SIZE, categories=["crane", "Crane", "crane", "d", "crane, x", "f"]
    )
    assert model.class_index("Crane") == 1  # where the case tells them apart, it does
    with pytest.raises(ValueError, match=r"name of 2 classes of .*: crane \(0\) and crane \(2\);"):
        model.class_index("crane")
    with pytest.raises(ValueError, match=r"name of 4 classes of .* \(0\), Crane \(1\) and crane"):
        model.class_index("CRANE")


@pytest.mark.parametrize(
    ("wrong", "nearest"), [("golv ball", "golf ball"), ("expresso", "espresso")]
)
def test_an_unknown_name_lists_the_nearest(wrong: str, nearest: str) -> None:
    with pytest.raises(ValueError, match=nearest) as caught:
        session_of().pullback(wrong)
    assert wrong in str(caught.value)


@pytest.mark.parametrize("index", [CLASSES, 1000, -CLASSES - 1])
@pytest.mark.parametrize("make", [int, pw.Logit], ids=["int", "Logit"])
def test_a_class_out_of_range_says_how_many_there_are(
    make: Callable[[int], Any], index: int
) -> None:
    with pytest.raises(ValueError, match=f"{CLASSES}|{CLASSES - 1}"):
        session_of().pullback(make(index))


def test_a_name_needs_categories() -> None:
    model = pw.Model(network("chain"), mean=(0.5,) * 3, std=(0.5,) * 3, size=SIZE)
    session = pw.Session(model, image(1))
    assert session.pullback(1).shape == (3, SIZE, SIZE)
    with pytest.raises(ValueError):
        session.pullback("golf ball")


@pytest.mark.parametrize(
    "wrong",
    [1.5, True, (1, 2), {"class": 1}, b"cat", object()],
    ids=lambda one: type(one).__name__,
)
def test_other_types_are_refused(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        session_of().pullback(wrong)


# Hidden targets ----------------------------------------------------------------------------------


def entering(net: nn.Module, layer: str, x: Tensor) -> Tensor:
    """What enters the first call of a module, by a hook of the test's own, in the graph."""
    return tapped(net, layer, x, lambda args, out: args[0])


def leaving(net: nn.Module, layer: str, x: Tensor) -> Tensor:
    return tapped(net, layer, x, lambda args, out: out)


def tapped(net: nn.Module, layer: str, x: Tensor, which: Callable[[Any, Any], Tensor]) -> Tensor:
    found: list[Tensor] = []

    def before(module: nn.Module, args: Any) -> None:
        if not found:
            found.append(which(args, None).clone() if which(args, None) is not None else x)

    def after(module: nn.Module, args: Any, out: Any) -> None:
        if len(found) == 0:
            found.append(which(args, out).clone())

    module = net.get_submodule(layer)
    takes_input = which(("in",), "out") == "in"
    handle = (
        module.register_forward_pre_hook(before)
        if takes_input
        else module.register_forward_hook(after)
    )
    net(x)
    handle.remove()
    return found[0]


Read = Callable[[nn.Module, Tensor], Tensor]
HIDDEN: dict[str, tuple[str, Any, Read]] = {
    "channel of a convolution": (
        "residual",
        pw.Channel("layer1.conv1", 2),
        lambda net, x: leaving(net, "layer1.conv1", x)[:, 2].mean((1, 2)),
    ),
    "channel, mean by name": (
        "residual",
        pw.Channel("layer1.conv1", 2, reduce="mean"),
        lambda net, x: leaving(net, "layer1.conv1", x)[:, 2].mean((1, 2)),
    ),
    "channel, maximum": (
        "residual",
        pw.Channel("layer10.bn2", 1, reduce="max"),
        lambda net, x: leaving(net, "layer10.bn2", x)[:, 1].flatten(1).max(1).values,
    ),
    "channel of an in-place ReLU": (
        "residual",
        pw.Channel("relu", 3),
        lambda net, x: entering(net, "relu", x)[:, 3].mean((1, 2)),
    ),
    "channel, maximum of an in-place LeakyReLU": (
        "mixed",
        pw.Channel("leaky", 3, reduce="max"),
        lambda net, x: entering(net, "leaky", x)[:, 3].flatten(1).max(1).values,
    ),
    "channel of a PReLU": (
        "mixed",
        pw.Channel("prelu", 0),
        lambda net, x: entering(net, "prelu", x)[:, 0].mean((1, 2)),
    ),
    "channel of a pool": (
        "residual",
        pw.Channel("maxpool", 0),
        lambda net, x: leaving(net, "maxpool", x)[:, 0].mean((1, 2)),
    ),
    "channel of a block": (
        "residual",
        pw.Channel("layer1", 0),
        lambda net, x: leaving(net, "layer1", x)[:, 0].mean((1, 2)),
    ),
    "channel of a linear layer": (
        "residual",
        pw.Channel("head", 4),
        lambda net, x: leaving(net, "head", x)[:, 4],
    ),
    "batch norm that `+=` overwrites": (
        "residual",
        pw.Channel("layer1.bn2", 2),
        lambda net, x: leaving(net, "layer1.bn2", x)[:, 2].mean((1, 2)),
    ),
    "batch norm that an in-place ReLU overwrites": (
        "residual",
        pw.Unit("bn", 2, (0, 5)),
        lambda net, x: leaving(net, "bn", x)[:, 2, 0, 5],
    ),
    "unit": (
        "residual",
        pw.Unit("layer10.conv2", 1, (3, 2)),
        lambda net, x: leaving(net, "layer10.conv2", x)[:, 1, 3, 2],
    ),
    "unit, named arguments": (
        "residual",
        pw.Unit("layer10.conv2", channel=1, position=(3, 2)),
        lambda net, x: leaving(net, "layer10.conv2", x)[:, 1, 3, 2],
    ),
    "unit of a ReLU6": (
        "mobile",
        pw.Unit("act1", 7, (0, 7)),
        lambda net, x: entering(net, "act1", x)[:, 7, 0, 7],
    ),
    "direction": (
        "residual",
        pw.Direction("layer1.bn1", VECTOR),
        lambda net, x: (leaving(net, "layer1.bn1", x).mean((2, 3)) * VECTOR.to(x)).sum(1),
    ),
    "direction, list": (
        "residual",
        pw.Direction("layer1.bn1", VECTOR.tolist()),
        lambda net, x: (leaving(net, "layer1.bn1", x).mean((2, 3)) * VECTOR.to(x)).sum(1),
    ),
    "direction at a position": (
        "residual",
        pw.Direction("layer1.bn1", VECTOR, position=(2, 1)),
        lambda net, x: (leaving(net, "layer1.bn1", x)[:, :, 2, 1] * VECTOR.to(x)).sum(1),
    ),
    "difference of classes": (
        "residual",
        pw.Difference(pw.Logit(4), pw.Logit("golf ball")),
        lambda net, x: net(x)[:, 4] - net(x)[:, 0],
    ),
    "difference of layers": (
        "residual",
        pw.Difference(pw.Channel("conv", 1), pw.Unit("layer1.conv2", 0, (1, 1))),
        lambda net, x: (
            leaving(net, "conv", x)[:, 1].mean((1, 2)) - leaving(net, "layer1.conv2", x)[:, 0, 1, 1]
        ),
    ),
    "difference of a difference": (
        "residual",
        pw.Difference(pw.Difference(pw.Logit(1), pw.Logit(2)), pw.Channel("conv", 1)),
        lambda net, x: net(x)[:, 1] - net(x)[:, 2] - leaving(net, "conv", x)[:, 1].mean((1, 2)),
    ),
}
every_hidden = pytest.mark.parametrize(("name", "target", "read"), HIDDEN.values(), ids=HIDDEN)


@every_hidden
def test_scores_are_the_values_read_by_hand(name: str, target: Any, read: Read) -> None:
    net, picture = network(name), image(1)
    score = pw.Session(wrap(net), picture).score(target)
    assert isinstance(score, float)
    assert score == pytest.approx(read(net, picture[None]).item(), rel=1e-12, abs=1e-14)


@every_hidden
def test_hard_pullbacks_are_autograd_of_the_hand_written_scalar(
    name: str, target: Any, read: Read
) -> None:
    net, picture = network(name), image(1)
    p = pw.pullback(wrap(net), picture, target, softening=HARD)
    expected = plain_gradient(lambda x: read(net, x), picture)
    assert expected.abs().max() > 0
    torch.testing.assert_close(p, expected, rtol=0, atol=1e-12)


@every_hidden
def test_a_batch_has_a_score_and_a_pullback_per_image(name: str, target: Any, read: Read) -> None:
    net, batch = network(name), image(1, batch=3)
    session = pw.Session(wrap(net), batch)
    scores = session.score(target)
    assert scores.shape == (3,)
    torch.testing.assert_close(scores, read(net, batch).detach(), rtol=1e-10, atol=1e-12)
    p = session.pullback(target, softening=HARD)
    for i, picture in enumerate(batch):
        expected = plain_gradient(lambda x: read(net, x), picture)
        torch.testing.assert_close(p[i], expected, rtol=0, atol=1e-12)


def test_a_repeated_call_is_a_layer_of_its_own() -> None:
    """`layer1.relu` is called twice; the second call gets what bn2 plus the skip give."""
    net, picture = network("residual"), image(1)

    def read(net: nn.Module, x: Tensor) -> Tensor:
        skip = leaving(net, "maxpool", x)
        return (leaving(net, "layer1.bn2", x) + skip)[:, 2, 1, 3]

    target = pw.Unit("layer1.relu:2", 2, (1, 3))
    session = pw.Session(wrap(net), picture)
    assert session.score(target) == pytest.approx(read(net, picture[None]).item(), rel=1e-12)
    expected = plain_gradient(lambda x: read(net, x), picture)
    torch.testing.assert_close(
        session.pullback(target, softening=HARD), expected, rtol=0, atol=1e-12
    )


def test_every_image_of_a_batch_may_have_a_target_of_its_own_kind() -> None:
    targets: list[Any] = [3, "espresso", pw.Channel("layer1", 1), pw.Unit("conv", 0, (4, 4)), None]
    batch = image(1, batch=len(targets))
    session = pw.Session(wrap(network("residual")), batch)
    together, scores = session.pullback(targets), session.score(targets)
    for i, target in enumerate(targets):
        alone = pw.Session(wrap(network("residual")), batch[i])
        torch.testing.assert_close(together[i], alone.pullback(target), rtol=0, atol=1e-12)
        assert float(scores[i]) == pytest.approx(alone.score(target), rel=1e-10)


def test_the_gate_of_the_target_layer_itself_takes_no_part() -> None:
    """A hidden unit is its pre-activation: no gate of its own lies between it and the image."""
    net, picture = network("residual"), image(1)
    session = pw.Session(wrap(net), picture)
    for softening in (HARD, pw.Softening.relative(0.85)):
        p = session.pullback(pw.Unit("relu", 1, (2, 2)), softening=softening)
        expected = plain_gradient(lambda x: net.bn(net.conv(x))[:, 1, 2, 2], picture)
        torch.testing.assert_close(p, expected, rtol=0, atol=1e-12)


def test_numpys_indices_become_pythons() -> None:
    one = np.int64(1)
    numbers = [
        pw.Logit(one).label,
        pw.Channel("conv", one).channel,
        pw.Unit("conv", one, (one, one)).channel,
        *(pw.Unit("conv", one, (one, one)).position or ()),
    ]
    assert [type(number) for number in numbers] == [int] * 5


# What is refused ---------------------------------------------------------------------------------

REFUSED: dict[str, Callable[[], Any]] = {
    "channel out of range": lambda: pw.Channel("conv", 4),
    "channel far below range": lambda: pw.Channel("conv", -5),
    "channel not a number": lambda: pw.Channel("conv", "red"),  # type: ignore[arg-type]
    "unknown reduction": lambda: pw.Channel("conv", 0, reduce="median"),  # type: ignore[arg-type]
    "unit's channel out of range": lambda: pw.Unit("conv", 4, (0, 0)),
    "row out of range": lambda: pw.Unit("conv", 0, (SIZE, 0)),
    "column out of range": lambda: pw.Unit("conv", 0, (0, SIZE)),
    "position of one number": lambda: pw.Unit("conv", 0, (1,)),
    "position of three numbers": lambda: pw.Unit("conv", 0, (1, 2, 3)),
    "position in a layer without positions": lambda: pw.Unit("head", 0, (0, 0)),
    "vector too short": lambda: pw.Direction("conv", [1.0, 2.0]),
    "vector too long": lambda: pw.Direction("conv", torch.ones(5)),
    "vector of two dimensions": lambda: pw.Direction("conv", torch.ones(4, 4)),
    "direction's position out of range": lambda: pw.Direction("conv", torch.ones(4), (0, SIZE)),
    "unknown layer": lambda: pw.Channel("nowhere", 0),
    "difference with an unknown class": lambda: pw.Difference(pw.Logit(0), pw.Logit("zebra")),
    "difference with an unknown layer": lambda: pw.Difference(pw.Logit(0), pw.Channel("no", 0)),
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_what_does_not_exist_is_refused_in_a_sentence(make: Callable[[], Any]) -> None:
    session = session_of()
    with pytest.raises((ValueError, TypeError)) as caught:
        session.pullback(make())
    message = str(caught.value)
    assert len(message.split()) >= 5
    assert "\n" not in message.strip()
    assert session.pullback(0).shape == (3, SIZE, SIZE)


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED)
def test_scores_and_ascents_refuse_the_same(make: Callable[[], Any]) -> None:
    session = session_of()
    with pytest.raises((ValueError, TypeError)):
        session.score(make())
    with pytest.raises((ValueError, TypeError)):
        list(session.ascend(make(), steps=1))


def test_names_of_categories_are_the_models() -> None:
    assert tuple(wrap(network("chain")).categories or ()) == CATEGORIES


# Against rivals, and parts of maps ---------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_a_class_against_its_rivals(count: int) -> None:
    session = session_of()
    logits = session.logits
    others = [k for k in logits.argsort(descending=True).tolist() if k != 2][:count]
    weights = logits[others].softmax(0)
    by_hand = session.pullback(2) - sum(
        float(weight) * session.pullback(k) for weight, k in zip(weights, others, strict=True)
    )
    target = pw.Rivals("tabby cat", count)
    assert torch.allclose(session.pullback(target), by_hand, rtol=1e-10, atol=1e-14)
    expected = float(logits[2] - (weights * logits[others]).sum())
    assert session.score(target) == pytest.approx(expected, rel=1e-10)
    assert torch.equal(pw.pullback(session.model, image(1), target), session.pullback(target))


def test_rivals_of_each_image_in_a_batch() -> None:
    session = session_of(batch=3)
    found = session.pullback(pw.Rivals(1, 2))
    for n in range(3):
        alone = pw.Session(session.model, session.image[n]).pullback(pw.Rivals(1, 2))
        assert torch.allclose(found[n], alone, rtol=1e-9, atol=1e-12)


def test_what_rivals_refuse() -> None:
    with pytest.raises(ValueError, match="count"):
        pw.Rivals(1, 0)
    with pytest.raises(TypeError, match="expected a class index"):
        pw.Rivals(1.5)  # type: ignore[arg-type]
    single = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, 1)).double()
    with pytest.raises(ValueError, match="one output, which has no rivals"):
        pw.pullback(wrap(single), image(1), pw.Rivals(0))
    with pytest.raises(ValueError, match="out of range"):
        session_of().pullback(pw.Rivals(CLASSES))


def test_a_region_is_the_mean_of_its_units() -> None:
    session = session_of()
    rows, columns = session.activations("layer1").shape[1:]
    box = (1, 0, 3, 2)
    units = [pw.Unit("layer1", 1, (y, x)) for y in (1, 2) for x in (0, 1)]
    by_hand = sum(session.pullback(one) for one in units) / 4
    mask = torch.zeros(rows, columns, dtype=torch.bool)
    mask[1:3, 0:2] = True
    for region in (pw.Region("layer1", 1, box), pw.Region("layer1", 1, mask=mask)):
        assert torch.allclose(session.pullback(region), by_hand, rtol=1e-10, atol=1e-14)
    whole = pw.Region("layer1", 1, mask=torch.full((rows, columns), 7))
    expected = session.pullback(pw.Channel("layer1", 1))
    assert torch.allclose(session.pullback(whole), expected, rtol=1e-10, atol=1e-14)
    weighted = torch.zeros(rows, columns)
    weighted[1, 0], weighted[2, 1] = 3.0, 1.0
    expected = 0.75 * session.pullback(units[0]) + 0.25 * session.pullback(units[3])
    found = session.pullback(pw.Region("layer1", 1, mask=weighted))
    assert torch.allclose(found, expected, rtol=1e-10, atol=1e-14)


def test_a_region_of_a_dense_output() -> None:
    dense = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()).double()
    session = pw.Session(wrap(dense), image(1))
    found = session.pullback(pw.Region("logits", 2, (0, 0, 1, 1)))
    assert torch.allclose(found, session.pullback(pw.Unit("logits", 2, (0, 0))))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "both or none"),
        ({"box": (0, 0, 1, 1), "mask": [[1]]}, "both or none"),
        ({"box": (0, 0, 0, 1)}, "top less than bottom"),
        ({"box": (0, 1)}, "four whole numbers"),
        ({"mask": [[0, 0]]}, "at least one is not 0"),
        ({"mask": [[-1, 2]]}, "at least one is not 0"),
    ],
    ids=str,
)
def test_what_a_region_refuses(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        pw.Region("layer1", 1, **options)


def test_a_region_must_fit_its_layer() -> None:
    session = session_of()
    with pytest.raises(ValueError, match="does not fit layer 'layer1', whose grid is"):
        session.pullback(pw.Region("layer1", 1, (0, 0, 99, 1)))
    with pytest.raises(ValueError, match=r"mask has the shape \(1, 1\)"):
        session.pullback(pw.Region("layer1", 1, mask=[[1]]))
    with pytest.raises(ValueError, match="out of range"):
        session.pullback(pw.Region("layer1", 99, (0, 0, 1, 1)))
