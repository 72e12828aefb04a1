"""What networks return: which tensor is taken for logits, and which probabilities they mean."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from networks import CLASSES, SIZE, image, network, plain_gradient, seeded, wrap
from torch import Tensor, nn

import pullback_widgets as pw

HARD = pw.Softening.hard()


class Returning(nn.Module):
    """A body with some head around what it returns."""

    def __init__(self, returned: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.body = network("chain")
        self.returned = returned

    def forward(self, x: Tensor) -> Any:
        logits = self.body(x)
        return self.returned(logits, x.mean((2, 3)))


def model_of(returned: Callable[[Tensor, Tensor], Any], **options: Any) -> pw.Model:
    calibration = image(seed=99, batch=3)
    return pw.Model(
        Returning(returned), 0.5, 0.5, SIZE, calibration=calibration, **{"name": "net"} | options
    )


@dataclass
class Answer:
    features: Tensor
    logits: Tensor


# Which tensor -------------------------------------------------------------------------------------


FOUND: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "a name": lambda logits, features: {"features": features, "logits": logits},
    "torchvision's name": lambda logits, features: {"features": features, "out": logits},
    "an attribute": lambda logits, features: Answer(features, logits),
    "the only one with images in front": lambda logits, features: (features.sum(), logits),
    "the only one with a gradient's type": lambda logits, _: (logits.argmax(1), logits),
    "the only one": lambda logits, _: {"cls": logits},
}


@pytest.mark.parametrize("returned", FOUND.values(), ids=FOUND)
def test_the_output_is_found_by_its_name_or_because_only_one_fits(
    returned: Callable[[Tensor, Tensor], Any],
) -> None:
    session = pw.Session(model_of(returned), image(1))
    body = session.model.module.get_submodule("body")
    assert torch.equal(session.logits, body(image(1)[None])[0])


def test_class_names_decide_between_several() -> None:
    model = model_of(lambda logits, features: (features, logits), categories=list("abcdef"))
    session = pw.Session(model, image(1))
    assert session.logits.shape == (CLASSES,) and len(session.predictions()) == 5


def test_several_that_fit_are_named_and_not_guessed() -> None:
    model = model_of(lambda logits, features: {"features": features, "cls": logits})
    session = pw.Session(model, image(1))
    for ask in (lambda: session.logits, session.predictions, lambda: session.pullback(1)):
        with pytest.raises(ValueError, match="'features' .1, 3., 'cls' .1, 6.") as caught:
            ask()
        assert "pw.Model(output=...)" in str(caught.value)


@pytest.mark.parametrize("choice", ["cls", 1, -1, lambda out: out["cls"]])
def test_a_chosen_output(choice: Any) -> None:
    model = model_of(lambda logits, features: {"features": features, "cls": logits}, output=choice)
    session = pw.Session(model, image(1))
    body = session.model.module.get_submodule("body")
    assert torch.equal(session.logits, body(image(1)[None])[0])
    expected = plain_gradient(lambda x: body(x)[:, 2], image(1))
    assert torch.equal(session.pullback(2, HARD), expected)
    assert torch.equal(pw.attribute("gradient", session, 2), expected)
    (step,) = session.ascend(2, steps=1)
    assert step.probability == pytest.approx(
        float(pw.Session(model, step.perturbed).logits.softmax(0)[2])
    )


def test_gates_in_the_function_that_chooses_are_softened() -> None:
    model = model_of(lambda logits, _: {"a": logits, "b": logits}, output=lambda o: o["a"].relu())
    assert len(pw.report(model).gates) == len(pw.report(wrap(network("chain"))).gates) + 1


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ("class", "output='class' is not in it; it has features, cls"),
        (7, "output=7 is not in it"),
        (lambda out: out["nothing"], "fails on what the network returns.*KeyError"),
        (lambda _: "text", "returned str; expected logits"),
    ],
)
def test_a_choice_that_does_not_fit_is_said_where_logits_are_asked_for(
    choice: Any, says: str
) -> None:
    model = model_of(lambda logits, features: {"features": features, "cls": logits}, output=choice)
    session = pw.Session(model, image(1))
    assert session.pullback(pw.Channel("body.conv2", 1)).any()
    with pytest.raises(ValueError, match=says):
        session.pullback(1)


def test_a_choice_of_another_kind_is_refused() -> None:
    for wrong in (True, 0.5, ["cls"]):
        with pytest.raises(TypeError, match="expected a name, an index, or a function"):
            model_of(lambda logits, _: logits, output=wrong)


# Nothing to choose --------------------------------------------------------------------------------


DETECTIONS: dict[str, Callable[[Tensor, Tensor], Any]] = {
    "detections": lambda logits, _: [{"boxes": logits.view(-1, 2), "scores": logits[0, :3]}],
    "nothing": lambda *_: None,
    "whole numbers": lambda logits, _: logits.argmax(1),
    "several": lambda logits, features: (logits, features),
}


@pytest.mark.parametrize("returned", DETECTIONS.values(), ids=DETECTIONS)
def test_hidden_layers_need_no_output(returned: Callable[[Tensor, Tensor], Any]) -> None:
    model, target = model_of(returned), pw.Channel("body.conv2", 1)
    expected = pw.pullback(wrap(network("chain")), image(1), pw.Channel("conv2", 1))
    session = pw.Session(model, image(1))
    assert torch.equal(session.pullback(target), expected)
    assert torch.equal(pw.pullback(model, image(1), target), expected)
    assert session.classes is None and session.probability(target) is None
    (step,) = session.ascend(target, steps=1)
    assert step.probability is None and step.score == pytest.approx(
        pw.Session(model, step.perturbed).score(target)
    )
    assert "logits" not in session.stages() and session.stages()
    assert "body.conv2" in [layer.name for layer in pw.layers(model)]
    for ask in (session.predictions, lambda: session.logits, lambda: session.pullback(0)):
        with pytest.raises(ValueError, match="returned .*say(s|)? (which|by)? ?.*pw.Model"):
            ask()


def test_figures_of_a_hidden_layer_need_no_output() -> None:
    model, target = model_of(DETECTIONS["detections"]), pw.Channel("body.conv2", 1)
    grid = pw.counterfactual_grid(model, image(1), [target], extra=None, steps=1)
    assert np.isfinite(grid.after).all()
    assert np.isfinite(pw.temperature_strip(model, image(1), target, steps=1).outcome).all()
    assert not pw.compare(model, image(1), target).problems
    assert pw.depth_journey(model, image(1), steps=1).stages
    atlas = pw.layer_atlas(model, "body.conv2", image(1), channels=[1])
    assert atlas.pullbacks.any()


# Maps ---------------------------------------------------------------------------------------------


def segmenter() -> nn.Module:
    return seeded(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 5, 1)))


def test_channels_and_places_of_a_map_are_targets() -> None:
    net, picture = segmenter(), image(1)
    session = pw.Session(pw.Model(net, 0.5, 0.5, SIZE, calibration=image(9, batch=2)), picture)
    mean = plain_gradient(lambda x: net(x)[:, 3].mean(), picture)
    place = plain_gradient(lambda x: net(x)[:, 3, 2, 4], picture)
    torch.testing.assert_close(session.pullback(pw.Channel("logits", 3), HARD), mean)
    assert torch.equal(session.pullback(pw.Unit("logits", 3, (2, 4)), HARD), place)
    assert session.score(pw.Unit("logits", 3, (2, 4))) == net(picture[None])[0, 3, 2, 4].item()
    assert session.logits.shape == (5, 6, 6) and session.classes is None
    assert session.report.gates
    steps = list(session.ascend(pw.Channel("logits", 3), steps=2))
    assert steps[1].score > steps[0].score and steps[1].probability is None


def test_a_map_has_no_classes() -> None:
    session = pw.Session(pw.Model(segmenter(), 0.5, 0.5, SIZE), image(1))
    with pytest.raises(ValueError, match=r'give pw.Channel\("logits", 3\) for the mean'):
        session.pullback(3, HARD)
    for ask in (session.predictions, lambda: session.pullback(None, HARD)):
        with pytest.raises(ValueError, match=r"expected logits \(N, K\).*Its channels are targets"):
            ask()


# One output ---------------------------------------------------------------------------------------


def test_one_number_for_each_image_is_one_class() -> None:
    model = model_of(lambda logits, _: logits[:, 2])
    for images in (image(1), image(1, batch=3)):
        session = pw.Session(model, images)
        expected = wrap(network("chain"))
        assert torch.equal(session.pullback(0), pw.pullback(expected, images, 2))
    assert session.logits.shape == (3, 1)
    (best,) = pw.Session(model, image(1)).predictions()
    assert best.probability == pytest.approx(float(torch.tensor(best.logit).sigmoid()))
    with pytest.raises(ValueError, match="Index 1 is out of range: there are 1 classes"):
        pw.pullback(model, image(1), 1)


# Probabilities ------------------------------------------------------------------------------------


def test_probabilities_that_the_network_returns_are_left_as_they_are() -> None:
    session = pw.Session(model_of(lambda logits, _: logits.softmax(1)), image(1))
    best = session.predictions(1)[0]
    assert best.probability == best.logit == float(session.logits.max())
    assert session.value(best.index) == best.logit


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_rounded_probabilities_are_noticed(dtype: torch.dtype) -> None:
    from pullback_widgets.engine.output import noticed

    logits = torch.randn(4, 1000, generator=torch.Generator().manual_seed(0))
    assert noticed(logits.softmax(1).to(dtype)) == "given"
    assert noticed(logits.to(dtype)) == "softmax"
    assert noticed(logits.sigmoid().to(dtype)) == "softmax"
    assert noticed(logits[:, :1].to(dtype)) == "sigmoid"


def test_labels_have_probabilities_of_their_own() -> None:
    model = model_of(lambda logits, _: logits, probability="sigmoid")
    session = pw.Session(model, image(1))
    expected = session.logits.sigmoid()
    for one in session.predictions(CLASSES):
        assert one.probability == pytest.approx(float(expected[one.index]))
        assert session.value(one.index) == one.probability
    (step,) = session.ascend(3, steps=1)
    after = pw.Session(model, step.perturbed).logits.sigmoid()[3]
    assert step.probability == pytest.approx(float(after))
    grid = pw.counterfactual_grid(model, image(1), [3], extra=None, steps=1)
    assert grid.before.item() == pytest.approx(float(expected[3]))
    assert grid.after.item() == pytest.approx(float(grid_after(model, grid)[3].sigmoid()))
    row = pw.compare(model, image(1), 3).rows[0]
    assert row.probability == pytest.approx(float(expected[3]))


def grid_after(model: pw.Model, grid: Any) -> Tensor:
    return pw.Session(model, grid.perturbed[0, 0]).logits


def test_without_probabilities_there_are_scores() -> None:
    model = model_of(lambda logits, _: logits, probability="none")
    session = pw.Session(model, image(1))
    assert [one.probability for one in session.predictions(2)] == [None, None]
    assert session.predictions(1)[0].index == int(session.logits.argmax())
    assert session.value(3) == session.score(3) == float(session.logits[3])
    (step,) = session.ascend(3, steps=1)
    assert step.probability is None
    grid = pw.counterfactual_grid(model, image(1), [3], extra=None, steps=1)
    assert not grid.by_class and grid.before.item() == session.score(3)
    strip = pw.temperature_strip(model, image(1), 3, steps=1)
    assert strip.measure == "score"
    journey = pw.depth_journey(model, image(1), steps=1)
    assert np.isfinite(journey.after).all()
    assert np.isnan(pw.compare(model, image(1), 3).rows[0].probability)


def test_another_word_for_probabilities_is_refused() -> None:
    with pytest.raises(ValueError, match="probability is 'logistic'; expected one of 'softmax'"):
        model_of(lambda logits, _: logits, probability="logistic")


def test_batches_of_predictions_are_those_of_each_image() -> None:
    model = model_of(lambda logits, _: logits, probability="sigmoid")
    together = pw.Session(model, image(1, batch=3)).predictions(2)
    alone = [pw.Session(model, one).predictions(2) for one in image(1, batch=3)]
    assert [[p.index for p in some] for some in together] == [
        [p.index for p in some] for some in alone
    ]


def test_nothing_is_said_of_what_is_not_asked_for() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pw.Session(model_of(DETECTIONS["several"]), image(1)).pullback(
            pw.Channel("body.conv2", 0), HARD
        )
