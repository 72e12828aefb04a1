"""Exercises of notebook 6: a network with batch norm, and what its layers hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .answer import as_number
from .exercise import exercise

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from ..engine.softening import Softening

_STABLE = 0.99
"""The mean cosine from which on a pullback counts as stable."""

_NOISE, _IMAGES, _DRAWS = 0.3, 200, 16

_LABELS = 50
"""The probe sees so many labels."""

_CLOSE = 0.02
"""Another classifier than the notebook's may differ by so much in its share of right digits."""


@exercise(
    "6.1",
    hints=[
        "torch.nn.utils.fusion has fuse_conv_bn_eval(conv, norm) and fuse_linear_bn_eval(linear, "
        "norm), which return a new layer.",
        "dict(normed.named_children()) has the parts by name: conv1, norm1, relu1 and so on. "
        "norm1 belongs to conv1, norm4 to linear4. Leave the norms out of the new nn.Sequential.",
        "folded = copy.deepcopy(normed); for n in (1, 2, 3): setattr(folded, f'conv{n}', "
        "fuse_conv_bn_eval(folded.get_submodule(f'conv{n}'), folded.get_submodule(f'norm{n}'))); "
        "the same for linear4; then put nn.Identity() in place of each norm.",
    ],
    praise="The same answers, hence the same gradients and pullbacks. What batch norm leaves "
    "behind is no new kind of function, only other weights.",
)
def folded(answer: Any) -> str | None:
    """Two networks: one with batch norm, and one without that computes the same."""
    import torch
    from torch import nn

    normed, folded = answer
    for one in (normed, folded):
        if not isinstance(one, nn.Module):
            return (
                f"Expected the pair (normed, folded) of two networks, and one of them is "
                f"{type(one).__name__}; make an nn.Sequential, or change a deep copy."
            )
    if not _norms(normed):
        which = "the pair is the other way round" if _norms(folded) else "so it has been changed"
        return (
            f"The first network has no batch norm, {which}; give (normed, folded), with normed as "
            "it was trained."
        )
    if folded is normed:
        return "Both are the same object; begin with copy.deepcopy(normed)."
    if left := _norms(folded):
        return (
            f"The second network still has {len(left)} batch norms ({', '.join(left)}); what is "
            "folded must also be taken out, or be replaced by nn.Identity()."
        )
    mine = {id(one) for one in normed.parameters()}
    if any(id(one) in mine for one in folded.parameters()) and not _same(normed, folded):
        return (
            "The two networks share some of their weights, so that folding in place has changed "
            "normed as well; run the cell that trains again, and fold a copy.deepcopy(normed)."
        )
    if _same(normed, folded):
        return None
    with torch.no_grad():
        found = _run(folded)
    for variant, said in _MISTAKES.items():
        with torch.no_grad():
            expected = _run(_folded_by(normed, variant))
        if torch.allclose(found, expected, atol=1e-3 * float(expected.abs().max())):
            return said
    return (
        "The logits of the two networks differ, so not all is folded rightly; check one layer at a "
        "time, its output against that of its norm in normed."
    )


def _affine(norm: Any, bias: Tensor, variant: str) -> tuple[Tensor, Tensor]:
    """The factor and the new bias of each output channel, with a mistake."""
    variance = norm.running_var + norm.eps
    factor = norm.weight / (variance if variant == "variance" else variance.sqrt())
    mean = 0 if variant == "mean" else norm.running_mean
    beta = 0 if variant == "beta" else norm.bias
    old = 0 if variant == "bias" else bias
    if variant == "unscaled":
        return factor, bias - norm.running_mean * factor + norm.bias
    return factor, (old - mean) * factor + beta


_MISTAKES = {
    "nothing": "The norms are gone, but the layers are as they were; fold each norm into the layer "
    "before it.",
    "mean": "The running mean is not subtracted; see the formula for b'.",
    "beta": "The norm's own bias, beta, is not added; see the formula for b'.",
    "bias": "The layer's old bias is lost; see the formula for b'.",
    "variance": "The factor divides by the variance; take its square root.",
    "unscaled": "The layer's old bias is not scaled; the factor goes with (b - mean) as a whole.",
}
"""What can go wrong -> what is said of it; for a network like the notebook's."""


def _folded_by(normed: nn.Module, variant: str) -> nn.Module:
    """The notebook's network, folded with a mistake; as it is where it has other names."""
    import copy

    import torch
    from torch import nn

    network = copy.deepcopy(normed).eval()
    parts = dict(network.named_children())
    for name, norm in parts.items():
        layer = parts.get(name.replace("norm", "conv"), parts.get(name.replace("norm", "linear")))
        if layer is None or not name.startswith("norm"):
            continue
        if variant != "nothing":
            weight, old = layer.get_parameter("weight"), layer.get_parameter("bias")
            with torch.no_grad():
                factor, bias = _affine(norm, old, variant)
                weight.mul_(factor.view(-1, *[1] * (weight.dim() - 1)))
                old.copy_(bias)
        setattr(network, name, nn.Identity())
    return network


def _norms(network: nn.Module) -> list[str]:
    from torch import nn

    kinds = (nn.BatchNorm1d, nn.BatchNorm2d)
    return [name for name, part in network.named_modules() if isinstance(part, kinds)]


def _same(one: nn.Module, other: nn.Module) -> bool:
    import torch

    with torch.no_grad():
        first, second = _run(one), _run(other)
    return first.shape == second.shape and torch.allclose(
        first, second, atol=1e-4 * float(first.abs().max())
    )


def _run(network: nn.Module) -> Tensor:
    """The logits of test digits, in evaluation mode; the network is left as it is."""
    import copy

    return copy.deepcopy(network).eval()(_digits().test_images[:50])


def _digits() -> Any:
    from ..teaching.data import load_data

    return load_data("digits")


@exercise(
    "6.2",
    hints=[
        "The softer the gates, the less the pullback depends on the image.",
        "judge(pw.Softening.relative(t)) measures both; try large values of t.",
        "For t -> infinity it is the gradient of a linear network, the same for every image: try "
        "t = 100.",
    ],
    praise="It has nearly forgotten the image: with gates that are all half open, the network is "
    "linear. A picture that never changes is as stable as can be, and tells nothing. Never trust "
    "a measure that does not ask the network.",
)
def stable(answer: Any) -> str | None:
    """A network, and a temperature at which its pullback is stable and says little."""
    from torch import nn

    from ..engine.softening import Softening

    network, t = answer
    t = as_number(t)
    if not isinstance(network, nn.Module) or t is None:
        return (
            "Expected the pair (normed, t) of the network and a number; put the number in place of "
            "the three dots."
        )
    if not (math.isfinite(t) and t > 0):
        return f"A temperature is a finite number above 0, and this is {t:g}; try t = 1 first."
    steady, says = _judge(network, Softening.relative(t))
    if steady <= _STABLE:
        return (
            f"At t = {t:g} the stability is {steady:.3f}, not above {_STABLE}; make the gates "
            "softer."
        )
    _, plain = _judge(network, Softening.hard())
    if says >= plain:
        return (
            f"At t = {t:g} it is stable ({steady:.3f}), but it still explains {says:.2f}, no "
            f"less than the plain gradient's {plain:.2f}; go on, softer still."
        )
    return None


def _judge(network: nn.Module, softening: Softening) -> tuple[float, float]:
    """Stability and share explained, as the notebook measures them; means over test digits."""
    import torch
    import torch.nn.functional as F

    from ..engine.session import Session

    data = _digits()
    images = data.test_images[:_IMAGES]
    chance = torch.Generator().manual_seed(0)
    noise = _NOISE * torch.randn(_DRAWS, len(images), 1, 8, 8, generator=chance)
    moved = (images + noise).clamp(-1, 1)
    model = data.as_model(network)
    session, disturbed = Session(model, images), Session(model, moved[0])
    top = session.logits.argmax(1)
    pulled, other = (one.pullback(top.tolist(), softening) for one in (session, disturbed))
    alike = F.cosine_similarity(pulled.flatten(1), other.flatten(1))
    with model.evaluating(), torch.no_grad():
        after = network(moved.flatten(0, 1)).unflatten(0, (_DRAWS, len(images)))
        effect = (after - network(images))[:, range(len(images)), top]
    predicted = ((moved - images) * pulled).flatten(2).sum(2)
    predicted, effect = predicted - predicted.mean(0), effect - effect.mean(0)
    both = (predicted * effect).sum(0).square()
    share = both / predicted.square().sum(0) / effect.square().sum(0)
    return float(alike.mean()), float(share.mean())


@exercise(
    "6.3",
    hints=[
        'The gates are (trained_on["with"].activations("relu4") > 0).float(), and likewise for '
        "tested_on.",
        "probe(features, test_features) gives the share right, with its interval.",
        'gates = {name: (one["with"].activations("relu4") > 0).float() for name, one in '
        '(("train", trained_on), ("test", tested_on))}; share_right = probe(gates["train"], '
        'gates["test"])',
    ],
    praise="Nothing but which of 64 gates are open, and still most digits are right: much of what "
    "this network knows about a digit is in the paths that it opens.",
)
def gates(answer: Any) -> str | None:
    """A network, and the share right of a probe that sees its last gates."""
    from torch import nn

    network, share = answer
    share = as_number(getattr(share, "value", share))
    if not isinstance(network, nn.Module) or share is None:
        return (
            "Expected the pair (normed, share_right) of the network and a number; give what probe "
            "returns."
        )
    if not 0 <= share <= 1:
        return (
            f"A share lies between 0 and 1, and this is {share:g}; divide by the number of digits."
        )
    right = _probe(network, "relu4", lambda z: z > 0)
    if abs(share - right) < 1e-3:
        return None
    for layer, change, count, said in _OTHER_PROBES:
        if abs(share - _probe(network, layer, change, count)) < 1e-3:
            return f"You have {share:.3f}, {said}"
    if abs(share - right) <= _CLOSE:
        return None
    return (
        f"You have {share:.3f}, and the probe of the notebook gets {right:.3f} with the gates of "
        f"relu4 and {_LABELS} labels; are they 1.0 and 0.0, of the network with batch norm, the "
        "first features those of the training digits?"
    )


_OTHER_PROBES: tuple[tuple[str, Callable[[Tensor], Tensor], int | None, str], ...] = (
    (
        "relu4",
        lambda z: z.relu(),
        _LABELS,
        "which comes out for the values max(z, 0); take z > 0, and float() of it.",
    ),
    ("relu4", lambda z: z, _LABELS, "which comes out for z itself; take z > 0, and float() of it."),
    (
        "relu4",
        lambda z: z > 0,
        None,
        f"which comes out with all labels; leave the count of probe at {_LABELS}.",
    ),
    (
        "relu3",
        lambda z: z > 0,
        _LABELS,
        "which comes out for relu3; the last hidden layer is relu4.",
    ),
    (
        "relu1",
        lambda z: z > 0,
        _LABELS,
        "which comes out for relu1; the last hidden layer is relu4.",
    ),
)
"""Of other features: layer, what is made of its z, labels, and what is said."""


def _probe(
    network: nn.Module, layer: str, change: Callable[[Tensor], Tensor], count: int | None = _LABELS
) -> float:
    """The share right of the notebook's probe."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from ..engine.session import Session

    data = _digits()
    model = data.as_model(network)

    def features(images: Tensor) -> NDArray[Any]:
        changed = change(Session(model, images).activations(layer))
        return changed.float().flatten(1).numpy()

    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    classifier.fit(features(data.images)[:count], data.labels[:count].numpy())
    return float(classifier.score(features(data.test_images), data.test_labels.numpy()))
