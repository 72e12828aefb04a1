"""The names of classes, in whatever form they come."""

import json
import warnings
from typing import Any

import pytest
import torch
from networks import SIZE, image
from torch import nn

import pullback_widgets as pw

NAMES = {n: f"name {n}" for n in range(12)}


def model_of(categories: Any, outputs: int = 12) -> pw.Model:
    """A network that always answers with class 2."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIZE * SIZE, outputs))
    with torch.no_grad():
        net[1].weight.zero_()
        net[1].bias.zero_()
        net[1].bias[2] = 5
    return pw.Model(net, size=SIZE, categories=categories, name="net")


def best(model: pw.Model) -> str:
    name: str = pw.Session(model, image(1).float()).predictions(1)[0].name
    return name


@pytest.mark.parametrize(
    "categories",
    [
        NAMES,
        dict(reversed(NAMES.items())),
        json.loads(json.dumps(NAMES)),
        {str(n): [f"n{n:08d}", name] for n, name in NAMES.items()},
        {name: n for n, name in NAMES.items()},
        list(NAMES.values()),
    ],
    ids=["numbers", "in any order", "JSON", "imagenet_class_index", "class_to_idx", "list"],
)
def test_names_stand_at_their_index(categories: Any) -> None:
    model = model_of(categories)
    assert model.categories == tuple(NAMES.values())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert best(model) == "name 2" and model.class_index("name 2") == 2


def test_gaps_are_classes_without_a_name() -> None:
    model = model_of({1: "person", 2: "bicycle", 5: "aeroplane"}, outputs=6)
    assert model.categories == ("class 0", "person", "bicycle", "class 3", "class 4", "aeroplane")
    assert best(model) == "bicycle" and model.class_index("aeroplane") == 5


@pytest.mark.parametrize(
    ("categories", "says"),
    [
        ({"cat": "Katze", "dog": "Hund"}, "not all class indices .one is 'cat'"),
        ({0: "cat", "dog": "Hund"}, "not all class indices .one is 'dog'"),
        ({-1: "cat"}, "not all class indices"),
        ({1.5: "cat"}, "not all class indices"),
        ({10**9: "cat"}, "not all class indices"),
        ({0: "cat", "0": "dog"}, "2 names for 1 class indices"),
    ],
)
def test_other_mappings_are_refused(categories: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        model_of(categories)


@pytest.mark.parametrize("categories", ["cat", b"cat", 3])
def test_what_is_no_collection_is_refused(categories: Any) -> None:
    with pytest.raises(TypeError, match="expected a list of class names"):
        model_of(categories)


@pytest.mark.parametrize("number", [2, 11, 13, 1000])
def test_another_number_of_names_than_outputs_is_said_once(number: int) -> None:
    model = model_of([f"x{n}" for n in range(number)])
    with pytest.warns(UserWarning, match=f"net has 12 outputs and categories has {number}") as told:
        best(model)
    assert len(told) == 1 and told[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        best(model)


def test_names_are_not_compared_where_none_is_used() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pw.pullback(model_of(["a", "b"]), image(1).float(), 2, pw.Softening.hard())
