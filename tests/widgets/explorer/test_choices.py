"""What can be chosen: checked at once, and always in agreement with the rest."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import traitlets
from networks import CATEGORIES, CLASSES, image, network, wrap

import pullback_widgets as pw
from pullback_widgets.figures.sessions import Sessions
from pullback_widgets.widgets.explorer.choices import ExplorerChoices

VECTOR = [0.5, -1.0, 0.0, 2.0]
REFUSED = (ValueError, TypeError, traitlets.TraitError)


class Chooser(ExplorerChoices):
    """Choices that have been computed, as the Explorer's are, and count what is asked for."""

    def __init__(self, **choices: Any) -> None:
        super().__init__()
        self.asked: list[bool] = []
        self.choose(model=wrap(network("residual")), image=image(1), **choices)
        self.compute()

    def compute(self) -> None:
        *_, frame = Sessions().frames(self.request())
        self.set_trait("result", frame)
        self.asked.clear()

    def changed(self, looks_only: bool) -> None:
        self.asked.append(looks_only)

    def now(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ExplorerChoices.NAMES}

    def changed_since(self, before: dict[str, Any]) -> list[str]:
        """The names of the choices that are not what they were."""
        now = self.now()
        return [
            name
            for name in ExplorerChoices.NAMES
            if now[name] is not before[name]
            and (isinstance(now[name], torch.Tensor) or now[name] != before[name])
        ]


@pytest.fixture
def chosen() -> Chooser:
    return Chooser()


@pytest.fixture
def hidden() -> Chooser:
    return Chooser(layer="layer1", channel=2, position=(1, 3))


def neuron(choices: ExplorerChoices) -> tuple[Any, ...]:
    return choices.target, choices.layer, choices.channel, choices.position


# What follows from a choice ----------------------------------------------------------------------


def test_the_beginning(chosen: Chooser) -> None:
    assert neuron(chosen) == (None, "logits", None, None)
    assert chosen.softening == pw.Softening.relative(0.85)
    assert (chosen.temperature, chosen.units) == (0.85, "relative")
    assert (chosen.steps, chosen.step_size, chosen.radius) == (5, 20.0, 100.0)
    assert (chosen.view, chosen.compare, chosen.wipe, chosen.colour) == (
        "pullback",
        "photograph",
        0.0,
        "rgb",
    )


def test_a_layer_brings_its_own_channels(hidden: Chooser) -> None:
    hidden.layer = "layer10"
    assert neuron(hidden) == (None, "layer10", None, None)


def test_another_channel_keeps_the_position(hidden: Chooser) -> None:
    hidden.channel = 3
    assert neuron(hidden) == (None, "layer1", 3, (1, 3))
    hidden.channel = None
    assert neuron(hidden) == (None, "layer1", None, (1, 3))


def test_another_position_keeps_the_channel(hidden: Chooser) -> None:
    hidden.position = [0, np.int64(2)]
    assert neuron(hidden) == (None, "layer1", 2, (0, 2))
    hidden.position = None
    assert neuron(hidden) == (None, "layer1", 2, None)


def test_a_position_keeps_the_channel_that_is_on_the_screen() -> None:
    choices = Chooser(layer="layer1")
    shown = choices.result.target.channel
    choices.position = (2, 2)
    assert neuron(choices) == (None, "layer1", shown, (2, 2))


def test_a_position_in_a_layer_that_is_not_on_the_screen_yet(hidden: Chooser) -> None:
    """The channel of another layer, chosen for that one, means nothing here."""
    hidden.layer = "layer10"
    hidden.position = (0, 0)
    assert neuron(hidden) == (None, "layer10", None, (0, 0))


@pytest.mark.parametrize("target", [3, "golf ball", pw.Logit(2), pw.Difference(1, 2)], ids=str)
def test_a_class_means_the_logits(hidden: Chooser, target: Any) -> None:
    hidden.target = target
    assert neuron(hidden) == (target, "logits", None, None)


def test_no_target_is_the_layer_s_own_choice(chosen: Chooser) -> None:
    chosen.target = 3
    chosen.target = None
    assert neuron(chosen) == (None, "logits", None, None)


@pytest.mark.parametrize(
    ("target", "layer", "channel", "position"),
    [
        (pw.Channel("layer10", 1), "layer10", 1, None),
        (pw.Channel("layer10", 1, "max"), "layer10", 1, None),
        (pw.Unit("relu", 3, (7, 0)), "relu", 3, (7, 0)),
        (pw.Unit("head", 5), "head", 5, None),
        (pw.Direction("layer10", VECTOR), "layer10", None, None),
        (pw.Difference(pw.Unit("layer10", 1, (0, 0)), 3), "layer10", 1, (0, 0)),
        (pw.Channel("relu", 1) - pw.Channel("layer1", 2) - 3, "relu", 1, None),
    ],
    ids=str,
)
def test_a_target_says_which_layer_channel_and_position(
    hidden: Chooser, target: Any, layer: str, channel: int | None, position: Any
) -> None:
    hidden.target = target
    assert neuron(hidden) == (target, layer, channel, position)
    assert hidden.request().target is target
    # Choosing a channel afterwards leaves the target behind.
    hidden.channel = 0
    assert neuron(hidden) == (None, layer, 0, position)


def test_on_the_logits_a_channel_is_a_class(chosen: Chooser) -> None:
    chosen.channel = 3
    assert neuron(chosen) == (3, "logits", None, None)


def test_temperature_units_and_softening_agree(chosen: Chooser) -> None:
    chosen.temperature = 0.3
    assert chosen.softening == pw.Softening.relative(0.3)
    chosen.softening = pw.Softening.paper_v3(0.5)
    assert (chosen.temperature, chosen.units) == (0.5, "absolute")
    chosen.temperature = 0.25
    assert chosen.softening == pw.Softening.paper_v3(0.25)
    chosen.units = "relative"
    assert chosen.softening == pw.Softening.paper_v3(0.25).with_units("relative")
    chosen.softening = pw.Softening.paper_v6(0.6).with_factors({"layer1": 2.0})
    chosen.temperature = 1
    assert chosen.softening == pw.Softening.paper_v6(1.0).with_factors({"layer1": 2.0})


def test_the_plain_gradient_remembers_what_was_before(chosen: Chooser) -> None:
    chosen.softening = pw.Softening.paper_v6(0.6)
    chosen.temperature = 0
    assert chosen.softening == pw.Softening.hard()
    assert chosen.units == "absolute"
    chosen.temperature = 0.4
    assert chosen.softening == pw.Softening.paper_v6(0.4)
    chosen.softening = pw.Softening.hard()
    assert chosen.temperature == 0
    chosen.units = "relative"
    assert chosen.softening == pw.Softening.hard()
    chosen.temperature = 0.7
    assert chosen.softening == pw.Softening.paper_v6(0.7).with_units("relative")


def test_another_network_has_other_layers(hidden: Chooser) -> None:
    hidden.model = wrap(network("chain"))
    assert neuron(hidden) == (None, "logits", None, None)


def test_networks_that_share_their_classes_keep_the_class(chosen: Chooser) -> None:
    chosen.target = "spoon"
    chosen.model = wrap(network("chain"))
    assert chosen.target == "spoon"
    chosen.model = pw.Model(network("chain"), size=8, categories=list("abcdef"))
    assert chosen.target is None


def test_a_class_index_means_nothing_among_other_classes(chosen: Chooser) -> None:
    chosen.target = 5
    chosen.model = pw.Model(network("chain"), size=8, categories=CATEGORIES[::-1])
    assert chosen.target is None


def test_networks_without_class_names_do_not_share_their_classes(chosen: Chooser) -> None:
    chosen.model = pw.Model(network("chain"), size=8)
    chosen.target = 3
    chosen.model = pw.Model(network("dense"), size=8)
    assert chosen.target is None


def test_a_bare_module_becomes_a_model(chosen: Chooser) -> None:
    net = network("chain")
    chosen.model = net
    assert isinstance(chosen.model, pw.Model)
    assert chosen.model.module is net


def test_another_image_keeps_the_rest(hidden: Chooser) -> None:
    before = neuron(hidden)
    hidden.image = image(2)
    assert neuron(hidden) == before


# Changes are announced once ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "looks_only"),
    [
        ("model", wrap(network("chain")), False),
        ("image", image(2), False),
        ("target", 3, False),
        ("target", pw.Unit("relu", 1, (2, 3)), False),
        ("layer", "layer10", False),
        ("channel", 3, False),
        ("position", (0, 0), False),
        ("temperature", 0.3, False),
        ("units", "absolute", False),
        ("softening", pw.Softening.paper_v6(), False),
        ("steps", 3, False),
        ("view", "overlay", False),
        ("colour", "diverging", True),
        ("compare", "pullback", True),
        ("wipe", 0.5, True),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_choice_with_all_that_follows_is_one_change(
    hidden: Chooser, name: str, value: Any, looks_only: bool
) -> None:
    setattr(hidden, name, value)
    assert hidden.asked == [looks_only]


def test_nothing_is_asked_for_when_nothing_changed(chosen: Chooser) -> None:
    chosen.choose(layer="logits", temperature=0.85)
    chosen.asked.clear()
    for name, value in chosen.now().items():
        if name != "image":  # tensors are not compared
            setattr(chosen, name, value)
    assert chosen.asked == []


def test_choosing_several_at_once_is_one_change(chosen: Chooser) -> None:
    chosen.choose(position=(1, 1), channel=2, layer="layer1", temperature=0.5, view="overlay")
    assert chosen.asked == [False]
    assert neuron(chosen) == (None, "layer1", 2, (1, 1))
    assert (chosen.temperature, chosen.view) == (0.5, "overlay")


def test_the_order_of_several_choices_does_not_matter(chosen: Chooser) -> None:
    wanted = {
        "softening": pw.Softening.paper_v6(0.6),
        "temperature": 0.9,
        "target": pw.Unit("layer1", 1, (0, 0)),
        "model": wrap(network("residual", seed=2)),
    }
    for order in (wanted, dict(reversed(wanted.items()))):
        chosen.choose(**order)
        assert neuron(chosen) == (wanted["target"], "layer1", 1, (0, 0))
        assert chosen.softening == pw.Softening.paper_v6(0.9)
        assert chosen.model is wanted["model"]


def test_a_choice_that_does_not_exist(chosen: Chooser) -> None:
    before = chosen.now()
    with pytest.raises(TypeError, match="temprature.*temperature"):
        chosen.choose(temprature=0.5, steps=3)
    assert chosen.changed_since(before) == []


def test_of_several_choices_with_a_bad_one_none_holds(chosen: Chooser) -> None:
    before = chosen.now()
    with pytest.raises(ValueError):
        chosen.choose(temperature=0.5, layer="layer1", channel=99)
    assert chosen.changed_since(before) == []


# Refusals ----------------------------------------------------------------------------------------

NAN, INFINITY = math.nan, math.inf

BAD: list[tuple[str, Any, str]] = [
    ("model", "resnet51", "resnet50"),
    ("model", 3, "pw.Model"),
    ("model", None, "pw.Model"),
    ("image", "no/such/file.png", "no/such/file.png"),
    ("image", Path("nowhere.jpg"), "nowhere.jpg"),
    ("image", b"this is no photograph", ""),
    ("image", b"", "bytes"),
    ("image", None, "photograph"),
    ("image", 3, "photograph"),
    ("image", np.zeros((4, 4)), ""),
    ("image", torch.full((3, 8, 8), 5.0), ""),
    ("image", torch.full((3, 8, 8), NAN), ""),
    ("image", torch.zeros(2, 3, 8, 8), "(3, H, W)"),
    ("image", [image(1), image(2)], ""),
    ("target", "golf", "golf cart"),
    ("target", "no such thing", "no such thing"),
    ("target", CLASSES, f"0 to {CLASSES - 1}"),
    ("target", -1, "0"),
    ("target", 2.5, "class index"),
    ("target", NAN, "class index"),
    ("target", True, "class index"),
    ("target", [1], "class index"),
    ("target", pw.Channel("layer2", 0), "layer1"),
    ("target", pw.Channel("layer1", 99), "0 to 3"),
    ("target", pw.Unit("layer1", 99, (0, 0)), "0 to 3"),
    ("target", pw.Unit("layer1", 1, (9, 9)), "(4, 4)"),
    ("target", pw.Unit("layer10", 1, (0,)), "(4, 4)"),
    ("target", pw.Unit("layer10", 1), "(4, 4)"),
    ("target", pw.Direction("layer1", [1.0, 2.0]), "one entry per channel"),
    ("target", pw.Difference(0, "no such thing"), "no such thing"),
    ("target", pw.Difference(0, CLASSES), f"0 to {CLASSES - 1}"),
    ("target", pw.Difference(0, pw.Channel("layer1", 99)), "0 to 3"),
    ("layer", "layer2", "layer1"),
    ("layer", "", "layer"),
    ("layer", 3, "layer"),
    ("layer", None, "layer"),
    ("channel", 4, "0 to 3"),
    ("channel", -1, "0 to 3"),
    ("channel", 1.5, "channel"),
    ("channel", NAN, "channel"),
    ("channel", "1", "channel"),
    ("channel", True, "channel"),
    ("position", (4, 0), "(4, 4)"),
    ("position", (0, -1), "-1"),
    ("position", (0,), "(4, 4)"),
    ("position", (0, 0, 0), "(4, 4)"),
    ("position", 2, "(4, 4)"),
    ("position", 2.5, "position"),
    ("position", np.int64(2), "(4, 4)"),
    ("position", (0.0, 1.0), "position"),
    ("position", (NAN, 1), "position"),
    ("position", "ab", "position"),
    ("temperature", -0.1, "above 0"),
    ("temperature", NAN, "finite"),
    ("temperature", INFINITY, "finite"),
    ("temperature", "0.5", "temperature"),
    ("temperature", None, "temperature"),
    ("units", "metres", "relative"),
    ("softening", 0.5, "Softening"),
    ("softening", None, "Softening"),
    ("steps", 0, "steps"),
    ("steps", -3, "steps"),
    ("steps", 2.5, "steps"),
    ("steps", "five", "steps"),
    ("steps", None, "steps"),
    ("step_size", 0.0, "step_size"),
    ("step_size", -1.0, "step_size"),
    ("step_size", NAN, "step_size"),
    ("step_size", INFINITY, "step_size"),
    ("step_size", "x", "step_size"),
    ("radius", 0.0, "radius"),
    ("radius", NAN, "radius"),
    ("view", "sideways", "perturbed"),
    ("compare", 3, "perturbed"),
    ("colour", "pink", "diverging"),
    ("wipe", NAN, "wipe"),
    ("wipe", "half", "wipe"),
    ("wipe", None, "wipe"),
]


@pytest.mark.parametrize(
    ("name", "value", "words"), BAD, ids=[f"{name}={value!r}"[:50] for name, value, _ in BAD]
)
def test_a_bad_choice_is_refused_and_nothing_changes(
    hidden: Chooser, name: str, value: Any, words: str
) -> None:
    before = hidden.now()
    with pytest.raises(REFUSED) as caught:
        setattr(hidden, name, value)
    assert hidden.changed_since(before) == []
    assert hidden.asked == []
    says_clearly(str(caught.value), words)


def says_clearly(sentence: str, words: str) -> None:
    """One line of some words that name what was expected."""
    assert words.lower() in sentence.lower()
    assert len(sentence.split()) >= 6
    assert "\n" not in sentence.strip()
    assert len(sentence) < 600


def test_the_logits_have_no_positions(chosen: Chooser) -> None:
    with pytest.raises(ValueError, match="hidden layer"):
        chosen.position = (0, 0)
    assert neuron(chosen) == (None, "logits", None, None)


def test_a_layer_without_positions(chosen: Chooser) -> None:
    chosen.layer = "head"
    with pytest.raises(ValueError, match="no positions"):
        chosen.position = (0, 0)
    assert neuron(chosen) == (None, "head", None, None)


def test_the_sentence_about_a_class_speaks_of_classes(hidden: Chooser) -> None:
    with pytest.raises(ValueError, match="6 .*0 to 5") as caught:
        hidden.target = CLASSES
    assert "layer1" not in str(caught.value)


def test_names_without_categories_are_refused() -> None:
    choices = Chooser()
    choices.model = pw.Model(network("chain"), mean=(0.5,) * 3, std=(0.5,) * 3, size=8)
    choices.compute()
    with pytest.raises(ValueError, match="class names"):
        choices.target = "golf ball"
    choices.target = 3


def test_the_result_is_read_only(chosen: Chooser) -> None:
    with pytest.raises(traitlets.TraitError):
        chosen.result = None


@pytest.mark.parametrize(
    ("name", "value", "held"),
    [
        ("wipe", -3, 0.0),
        ("wipe", 1.5, 1.0),
        ("radius", None, None),
        ("temperature", 1, 1.0),
        ("channel", 3, 3),
        ("position", (3, 0), (3, 0)),
        ("position", np.array([3, 0]), (3, 0)),
        ("position", torch.tensor([3, 0]).tolist(), (3, 0)),
        ("image", np.zeros((9, 7, 3), np.uint8), ...),
        ("image", "chelsea", "chelsea"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_fine_is_taken(hidden: Chooser, name: str, value: Any, held: Any) -> None:
    hidden.wipe = 0.5
    hidden.asked.clear()
    setattr(hidden, name, value)
    if held is not ...:
        assert getattr(hidden, name) == held
    assert len(hidden.asked) == 1


# Observing ---------------------------------------------------------------------------------------


@pytest.fixture
def heard(hidden: Chooser) -> list[tuple[str, Any]]:
    changes: list[tuple[str, Any]] = []
    names = list(ExplorerChoices.NAMES)
    hidden.observe(lambda change: changes.append((change["name"], change["new"])), names)
    return changes


def test_observers_hear_of_a_choice_and_of_what_follows(
    hidden: Chooser, heard: list[tuple[str, Any]]
) -> None:
    hidden.softening = pw.Softening.paper_v3(0.3)
    assert set(heard) == {
        ("softening", pw.Softening.paper_v3(0.3)),
        ("temperature", 0.3),
        ("units", "absolute"),
    }


def test_an_observer_may_choose(hidden: Chooser) -> None:
    hidden.observe(lambda change: hidden.choose(colour="diverging", steps=9), "temperature")
    hidden.temperature = 0.5
    assert (hidden.colour, hidden.steps, hidden.softening.temperature) == ("diverging", 9, 0.5)
    assert hidden.asked


def test_observers_of_refused_choices_hear_nothing(
    hidden: Chooser, heard: list[tuple[str, Any]]
) -> None:
    for name, value in (("temperature", -1), ("layer", "layer2"), ("target", "golf")):
        with pytest.raises(REFUSED):
            setattr(hidden, name, value)
    assert heard == []
