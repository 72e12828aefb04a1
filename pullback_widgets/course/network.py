"""Exercises of notebook 8: a network of one's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from .exercise import exercise

if TYPE_CHECKING:
    from torch import nn

# "Espresso" for the coffee in EfficientNet-Lite0: normalised by 0.5, and by ImageNet's numbers.
_RIGHT, _IMAGENET = 0.957, 0.843
_TOLERANCE = 0.01
_HELD = {"product": 16}
"""What is held constant in EfficientNet-B0."""


@exercise(
    "8.1",
    hints=[
        "The second network is pw.Model(lite, categories=installed.categories): ImageNet's mean "
        "and std are the default.",
        "The probabilities of a session are session.logits.softmax(0); the class's number is "
        'trained.class_index("espresso").',
        "def espresso(model): return float(pw.Session(model, 'coffee').logits.softmax(0)"
        "[trained.class_index('espresso')])",
    ],
    praise="Nobody complained, and yet the second network is less sure and the third one blind. "
    "When a network does worse than its paper says, look at mean and std first.",
)
def preprocessing(answer: Any) -> str | None:
    """Three probabilities: with the right numbers, with ImageNet's, and with bytes."""
    right, imagenet, as_bytes = (float(value) for value in answer)
    if not all(0 <= value <= 1 for value in (right, imagenet, as_bytes)):
        return (
            f"A probability lies between 0 and 1, and yours are {right:.3g}, {imagenet:.3g} and "
            f"{as_bytes:.3g}; take the softmax of the logits."
        )
    if abs(right - _RIGHT) > _TOLERANCE:
        if abs(right - _IMAGENET) <= _TOLERANCE and abs(imagenet - _RIGHT) <= _TOLERANCE:
            return (
                "The first two are swapped: this network was trained with mean and std 0.5, so "
                "those are the right ones."
            )
        return (
            f"With the right mean and std, 0.5, the coffee is an espresso with {_RIGHT}, and you "
            f"have {right:.3f}; is it the network `trained`, the image 'coffee', the class "
            "'espresso'?"
        )
    if abs(imagenet - right) < 1e-4:
        return (
            "The second probability equals the first: give the second pw.Model ImageNet's mean and "
            "std, or leave both out."
        )
    if abs(imagenet - _IMAGENET) > _TOLERANCE:
        return (
            f"With ImageNet's mean and std it is {_IMAGENET}, and you have {imagenet:.3f}; leave "
            "out both, mean and std, and nothing else."
        )
    if as_bytes > 0.05:
        return (
            f"The third network should see numbers up to 255, with which it is lost, but yours "
            f"still says {as_bytes:.3f}; std divides, so it must be 1/255 and not 255 or 1."
        )
    return None


@exercise(
    "8.2",
    hints=[
        'timm.create_model("efficientnet_b0", pretrained=False) makes the network, pw.Model wraps '
        "it, pw.report reports on it.",
        "A report has four parts: gates (softened), held (a part of them a constant), kept (with "
        "their own derivative) and cut (no gradient passes).",
        'held = pw.report(pw.Model(timm.create_model("efficientnet_b0", pretrained=False))).held',
    ],
    praise="In each of 16 squeeze-and-excitation blocks a map is multiplied by a sigmoid of its "
    "own mean. The sigmoid is held constant: the picture shows what is let through, and not why. "
    "Ask for the report before you believe a picture.",
)
def held(answer: Any) -> str | None:
    """What is held constant in EfficientNet-B0, a mapping from kind to number."""
    if hasattr(answer, "held"):
        return "That is the whole report; the part that is asked for is its attribute `held`."
    if isinstance(answer, str):
        return (
            "That is a sentence; the report also has the same as a mapping from kind to number: "
            "its attribute `held`."
        )
    if isinstance(answer, tuple):
        return "A tuple is what IS softened, `gates`; asked for is what is held constant, `held`."
    if not isinstance(answer, Mapping):
        return (
            f"Expected a mapping from kind to number, and this is a {type(answer).__name__}; see "
            "the attributes of the report."
        )
    found = dict(answer)
    if not found:
        return (
            "An empty mapping: is it the report of the network with ReLU6, or `kept` or `cut` "
            "instead of `held`? Make the report of efficientnet_b0 and take its `held`."
        )
    if set(found) != set(_HELD):
        return (
            f"Held are {', '.join(map(str, found))} in this report, so it is of another network; "
            "make efficientnet_b0."
        )
    if found != _HELD:
        return (
            f"These are {found}, and efficientnet_b0 has {_HELD}; is it another network with "
            "squeeze-and-excitation?"
        )
    return None


@exercise(
    "8.3",
    hints=[
        "class DigitNetOfModules(DigitNet): in __init__ call super().__init__(), then make "
        "self.relu1 = nn.ReLU() and so on; forward is the old one with self.relu1(...) in place of "
        "F.relu(...).",
        "A new network has new random weights: twin.load_state_dict(net.state_dict()). nn.ReLU has "
        "no weights, so the names fit.",
    ],
    praise="The same logits and the same pullback: what counts is what torch computes, not how "
    "the network is written.",
)
def twin(answer: Any) -> str | None:
    """Two networks: one with functional ReLUs, and one with modules in their place."""
    import torch
    from torch import nn

    import pullback_widgets as pw

    net, twin = answer
    for one in (net, twin):
        if not isinstance(one, nn.Module):
            return (
                f"Expected the pair (net, twin) of two networks, and one of them is "
                f"{type(one).__name__}; did you call the class, DigitNetOfModules()?"
            )
    if twin is net:
        return "Both are the same object; make a second network from a class of your own."
    if not _has_relu(twin):
        if _has_relu(net):
            return "The pair is the other way round: first the functions, then the modules."
        return (
            "The twin has no nn.ReLU in it; make them in __init__, as attributes, and call them in "
            "forward."
        )
    images = torch.linspace(-1, 1, 2 * 3 * 8 * 8).sin().view(2, 3, 8, 8)
    softening = pw.Softening.paper_v3(0.3)  # absolute: it needs no calibration images
    sessions = [pw.Session(pw.Model(one, size=8), images) for one in (net, twin)]
    first, second = (session.logits for session in sessions)
    if first.shape != second.shape or not torch.allclose(first, second, atol=1e-5):
        return (
            "Their logits differ, so they are different functions; did you load the weights of "
            "net, and is every step of forward there, the pooling and the mean included?"
        )
    first, second = (session.pullback(3, softening) for session in sessions)
    if not torch.allclose(first, second, atol=1e-5 * float(first.abs().max())):
        return (
            "Their logits agree, but their pullbacks differ; is F.relu still there beside the "
            "module? A ReLU of a ReLU changes nothing on the way forward, but there are two gates "
            "on the way back."
        )
    return None


def _has_relu(module: nn.Module) -> bool:
    from torch import nn

    return any(isinstance(part, nn.ReLU) for part in module.modules())


@exercise(
    "8.4",
    hints=[
        "named_parameters() and named_buffers() have the tensors, modules() the parts; each part "
        "has the flag `training` and the dictionary `_forward_hooks`.",
        "== of two tensors is a tensor, which has no truth value. tensor.tolist() gives numbers "
        "that == can compare, and is a copy besides.",
        "return [(one.tolist(), one.requires_grad) for one in [*module.parameters(), "
        "*module.buffers()]], [(part.training, len(part._forward_hooks)) for part in "
        "module.modules()]",
    ],
    praise="This is how one shows that a tool leaves a network alone. The tests of "
    "pullback_widgets do the same, with every tensor's memory address besides.",
)
def state(answer: Any) -> str | None:
    """A function that tells whether a module has been changed."""
    if not callable(answer):
        return f"Expected the function state itself, and this is {type(answer).__name__}."
    net = _small_network()
    first = answer(net)
    if first is None or first is ...:
        return "Not answered yet: let state return all that must not change, not three dots."
    wrong = _two_looks(answer, net)
    if wrong:
        return wrong
    for what, change in _CHANGES.items():
        net = _small_network()
        before = answer(net)
        change(net)
        if answer(net) == before:
            return f"state does not notice {what}."
    return _after_a_pullback(answer)


def _two_looks(state: Callable[[Any], Any], net: nn.Module) -> str | None:
    try:
        agree = bool(state(net) == state(net))
    except (RuntimeError, ValueError):
        return (
            "What state returns holds tensors, and == of two tensors is no single truth value; "
            "turn each into numbers, for instance with tolist()."
        )
    if not agree:
        return (
            "Two looks at the same, unchanged network differ; return values, and no objects that "
            "are made anew at each look."
        )
    return None


def _after_a_pullback(state: Callable[[Any], Any]) -> str | None:
    import torch

    import pullback_widgets as pw

    net = _small_network()
    before = state(net)
    image = torch.zeros(3, 8, 8)
    pw.pullback(pw.Model(net, size=8), image, 0, pw.Softening.paper_v3(0.3))
    if state(net) != before:
        return (
            "state says that a pullback changed the network, which it does not; return only what "
            "the exercise lists."
        )
    return None


def _small_network() -> nn.Module:
    """A network in mixed modes: evaluation mode but for its batch norm."""
    from torch import nn

    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * 36, 3),
    )
    net.eval()
    _norm(net).train()
    return net


def _norm(net: Any) -> Any:
    return net[0][1]


def _change_weight(net: Any) -> None:
    import torch

    with torch.no_grad():
        net[0][0].weight[0, 0, 0, 0] += 1


_CHANGES: Mapping[str, Callable[[Any], Any]] = {
    "that one weight was changed in place; it must keep the values (a copy), not the tensor": (
        _change_weight
    ),
    "that a batch norm's running mean, a buffer, was changed; look at buffers() too": (
        lambda net: _norm(net).running_mean.add_(1)
    ),
    "that a bias no longer requires a gradient": lambda net: net[3].bias.requires_grad_(False),
    "that the whole network went into training mode": lambda net: net.train(),
    "that one part, its batch norm, went into evaluation mode; look at every part": (
        lambda net: _norm(net).eval()
    ),
    "a forward hook on the whole network": (
        lambda net: net.register_forward_hook(lambda module, args, out: None)
    ),
    "a forward hook on one part; look at every part": (
        lambda net: _norm(net).register_forward_hook(lambda module, args, out: None)
    ),
}
"""What is done to a network -> how; state must notice each alone."""
