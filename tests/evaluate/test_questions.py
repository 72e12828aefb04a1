"""What numbers say of a single picture, where the answer is known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from networks import image, network, wrap
from torch import Tensor

import pullback_widgets as pw
from pullback_widgets.evaluation.questions import QUESTIONS, STEPS, Answer, Picture, ask

HARD = pw.Softening.hard()


def picture_of(
    model: pw.Model, target: pw.Target, softening: pw.Softening = HARD, seed: int = 1
) -> Picture:
    session = pw.Session(model, image(seed))
    pulled = session.pullback(target, softening)
    return Picture(model, session.image, session.resolve(target)[0], softening, pulled)


def test_a_linear_network_adds_up(linear_model: pw.Model) -> None:
    answer = ask(picture_of(linear_model, pw.Logit(0)), "sum")
    assert float(answer.numbers["picture"]) == pytest.approx(float(answer.numbers["value"]))
    assert answer.sentence.startswith("The picture accounts for 100 % of the logit")


def test_pixels_of_a_linear_network_go_by_what_they_bring(
    weights: Tensor, linear_of: Callable[[Tensor], pw.Model]
) -> None:
    """Its logit falls by the contributions of the pixels that are gone, the largest first."""
    model = linear_of(weights)
    model.probability = "none"
    picture = picture_of(model, pw.Logit(0))
    shares = (weights[0] * picture.image).sum(0).flatten().sort(descending=True).values
    counts = [round(len(shares) * step / STEPS) for step in range(STEPS + 1)]
    left = [float(shares.sum() - shares[:count].sum()) for count in counts]
    numbers = ask(picture, "pixels").numbers
    np.testing.assert_allclose(numbers["picture"], left, atol=1e-9)
    assert numbers["picture"][0] == numbers["random"][0]
    assert numbers["area"][0] < numbers["area"][1]


def test_half_is_where_the_curve_is_down_to_half(linear_of: Callable[[Tensor], pw.Model]) -> None:
    """All pixels bring as much, so that half of them are half of the value, in any order."""
    picture_image = image(1)
    even = torch.where(picture_image == 0, torch.zeros(()).double(), 1 / picture_image)
    model = linear_of(torch.stack([even, -even]))
    model.probability = "none"
    answer = ask(picture_of(model, pw.Logit(0)), "pixels")
    assert "down to half after 50 % of them; in random order after 50 %" in answer.sentence
    assert "<svg" in answer.chart and "pixels turned grey" in answer.chart


def test_a_class_that_is_not_there_cannot_be_taken_away(
    linear_of: Callable[[Tensor], pw.Model],
) -> None:
    clear = 0.1 * image(1)
    picture = picture_of(linear_of(torch.stack([clear, -clear])), pw.Logit(1))
    assert "grey pixels can take nothing away" in ask(picture, "pixels").sentence


def test_the_next_class_of_a_linear_network(linear_model: pw.Model, weights: Tensor) -> None:
    order = pw.Session(linear_model, image(1)).logits.argsort(descending=True).tolist()
    answer = ask(picture_of(linear_model, pw.Logit(order[0])), "target")
    a, b = weights[order[0]].flatten(), weights[order[1]].flatten()
    assert float(answer.numbers["cosine"]) == pytest.approx(float(a @ b / a.norm() / b.norm()))
    other = ask(picture_of(linear_model, pw.Logit(order[1])), "target")
    assert float(other.numbers["cosine"]) == pytest.approx(float(answer.numbers["cosine"]))


def test_equal_classes_have_one_picture(
    weights: Tensor, linear_of: Callable[[Tensor], pw.Model]
) -> None:
    model = linear_of(weights[:1].expand(2, -1, -1, -1))
    assert "is 1.00" in ask(picture_of(model, pw.Logit(0)), "target").sentence


def test_a_channel_is_compared_with_the_strongest_other_one() -> None:
    model = wrap(network("residual"))
    session = pw.Session(model, image(1))
    layer = next(one.name for one in session.layers if len(one.shape) == 3)
    (first, _), (second, _) = session.strongest(layer, None, 2)
    answer = ask(picture_of(model, pw.Channel(layer, first)), "target")
    a, b = (session.pullback(pw.Channel(layer, one), HARD).flatten() for one in (first, second))
    assert float(answer.numbers["cosine"]) == pytest.approx(float(a @ b / a.norm() / b.norm()))
    assert f"channel {second}" in answer.sentence


def test_weights_are_shuffled_in_copies() -> None:
    model = wrap(network("residual"))
    before = {name: one.clone() for name, one in model.module.state_dict().items()}
    answer = ask(picture_of(model, pw.Logit(0)), "weights")
    assert answer.numbers["cosines"].shape == (3,) and (abs(answer.numbers["cosines"]) < 1).all()
    assert all(torch.equal(one, before[name]) for name, one in model.module.state_dict().items())


def test_a_picture_that_ignores_the_weights_is_called_so(
    linear_model: pw.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulled = image(3)
    monkeypatch.setattr(pw.Session, "pullback", lambda *_: pulled)
    picture = Picture(linear_model, image(1), pw.Logit(0), HARD, pulled)
    np.testing.assert_allclose(ask(picture, "weights").numbers["cosines"], 1)


@pytest.mark.parametrize("name", QUESTIONS)
def test_shares_of_the_work_rise_to_an_answer(name: str, linear_model: pw.Model) -> None:
    *shares, answer = QUESTIONS[name][1](picture_of(linear_model, pw.Logit(0)))
    assert isinstance(answer, Answer) and answer.sentence.endswith(".")
    assert shares == sorted(shares) and shares[0] == 0  # type: ignore[type-var]


def test_what_cannot_be_asked(linear_model: pw.Model) -> None:
    picture = picture_of(linear_model, pw.Logit(0))
    with pytest.raises(ValueError, match="no question 'colour'; choose from sum, pixels"):
        ask(picture, "colour")
    (layer, *_) = pw.Session(linear_model, image(1)).layers
    direction = pw.Direction(layer.name, torch.ones(layer.shape[0]).double())
    with pytest.raises(ValueError, match="There is nothing next to"):
        ask(picture_of(linear_model, direction), "target")
