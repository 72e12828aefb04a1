"""Exercises of notebook 3: the backward rule by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .answer import as_number
from .exercise import exercise

if TYPE_CHECKING:
    from torch import Tensor

_TEMPERATURE = 0.7
_GATES = 4
"""On every path of the small network: one for each convolution, one for the hidden layer."""

_BOTH = 0.0314
"""Probability of espresso when T log(1 + exp(z / T)), cut at 6, replaces every ReLU6; T = 0.3."""

_OTHERS = {
    0.957: "which is the original's, so that nothing was replaced; nn.ReLU6 is no subclass of "
    "nn.ReLU, and the copy is what replaced returns.",
    0.0062: "which comes out if the function is not cut off at 6; add clamp(max=6).",
    0.896: "which comes out for z * sigmoid(z / T), a SiLU, whose derivative is not sigmoid(z / "
    "T); use T * softplus(z / T).",
    0.305: "which comes out for a plain ReLU; it has no T at all.",
}
"""Probabilities of typical mistakes."""

_LOST = 0.0015
"""At less than this the network knows nothing; a class of 1000 has 0.001 by chance."""


@exercise(
    "3.1",
    hints=[
        "Copy HardReLU and change one factor: (z > 0) becomes sigmoid(z / T).",
        "In forward, keep the temperature as well: ctx.temperature = temperature.",
        "return grad * torch.sigmoid(z / ctx.temperature), None",
    ],
    praise="This line is the method. Run the cells below again: they work with your rule now.",
)
def soft_relu(answer: Any) -> str | None:
    """A torch.autograd.Function: ReLU forward, a sigmoid gate backward."""
    import torch

    if not isinstance(answer, type) or not issubclass(answer, torch.autograd.Function):
        return (
            "The answer is a class that begins with class SoftReLU(torch.autograd.Function):, and "
            f"this is {answer if isinstance(answer, type) else type(answer).__name__}; copy "
            "HardReLU and change it."
        )
    chance = torch.Generator().manual_seed(0)
    z = 2 * torch.randn(2, 4, 4, generator=chance)
    grad = torch.randn(2, 4, 4, generator=chance)
    try:
        out, found = _through(answer, z, grad, _TEMPERATURE)
    except TypeError as error:
        return (
            "SoftReLU.apply(z, temperature) raises TypeError "
            f"({error}); forward takes ctx, z and temperature, backward takes ctx and grad."
        )
    except RuntimeError as error:
        if "incorrect number of gradients" in str(error):
            return (
                "backward must return one gradient for each argument of forward: that of z, and "
                "None for the temperature."
            )
        raise
    wrong = _forward(out, z) or _backward(found, z, grad)
    return wrong or _per_channel(answer, z, grad)


def _through(
    function: Any, z: Tensor, grad: Tensor, temperature: float | Tensor
) -> tuple[Any, Any]:
    """What comes out of a function, and the gradient of its input."""
    import torch

    z = z.clone().requires_grad_()
    out = function.apply(z, temperature)
    (found,) = torch.autograd.grad(out, z, grad, allow_unused=True)
    return out.detach(), found


def _forward(out: Tensor, z: Tensor) -> str | None:
    import torch

    if torch.equal(out, z.relu()):
        return None
    return (
        "The forward pass is not ReLU's to the last bit; only backward is soft, forward returns "
        "z.clamp(min=0) as in HardReLU."
    )


def _backward(found: Tensor | None, z: Tensor, grad: Tensor) -> str | None:
    import torch

    if found is None:
        return "The gradient of z is None; return it first, and None for the temperature second."
    gate = torch.sigmoid(z / _TEMPERATURE)
    if _alike(found, grad * gate):
        return None
    known = (
        (gate, "The gate alone is returned; multiply it by grad, which comes from above."),
        (grad * (z > 0), "The gate is still the hard one; put sigmoid(z / T) in its place."),
        (
            grad * (z > 0) * gate,
            "There are two gates, the hard one and the soft one; take out (z > 0).",
        ),
        (
            grad * torch.sigmoid(z.relu() / _TEMPERATURE),
            "Below zero the gate is 1/2 everywhere, because it sees the output, which is 0 there; "
            "keep z, the input.",
        ),
        (grad * torch.sigmoid(z), "The temperature is not used; divide z by it."),
        (grad * torch.sigmoid(z * _TEMPERATURE), "z is multiplied by T; divide it by T."),
        (
            grad * torch.sigmoid(-z / _TEMPERATURE),
            "The gate opens below zero and shuts above; the sign is wrong.",
        ),
        (
            grad * gate * (1 - gate) / _TEMPERATURE,
            "That is the derivative of the sigmoid; the gate is the sigmoid itself.",
        ),
        (
            grad * gate * (1 - gate),
            "That is a derivative of the sigmoid; the gate is the sigmoid itself.",
        ),
    )
    for values, said in known:
        if _alike(found, values):
            return said
    return (
        f"At z = {float(z[0, 0, 0]):.3g}, T = {_TEMPERATURE} and grad = {float(grad[0, 0, 0]):.3g} "
        f"backward returns {float(found[0, 0, 0]):.3g}, expected "
        f"{float((grad * gate)[0, 0, 0]):.3g}; it is grad * sigmoid(z / T)."
    )


def _per_channel(function: Any, z: Tensor, grad: Tensor) -> str | None:
    """Temperatures of their own for channels and calls."""
    import torch

    each = torch.tensor([0.2, 3.0]).view(2, 1, 1)
    try:
        _, found = _through(function, z, grad, each)
    except (RuntimeError, TypeError, ValueError) as error:
        return (
            "With one temperature for each channel, a tensor of shape (C, 1, 1), it fails "
            f"({' '.join(str(error).split())}); do not turn the temperature into a number."
        )
    if not _alike(found, grad * torch.sigmoid(z / each)):
        return (
            "With one temperature for each channel, a tensor of shape (C, 1, 1), the gates are "
            "other ones than sigmoid(z / T)."
        )
    first, second = z.clone().requires_grad_(), z.clone().requires_grad_()
    out = function.apply(first, _TEMPERATURE)
    function.apply(second, 100.0)
    (found,) = torch.autograd.grad(out, first, grad)
    if not _alike(found, grad * torch.sigmoid(z / _TEMPERATURE)):
        return (
            "A second call at another temperature changes the gates of the first one; keep z and "
            "the temperature in ctx, of which each call has its own."
        )
    return None


@exercise(
    "3.2",
    hints=[
        "The weights of all four values together are one softmax; torch.softmax takes care of "
        "large values.",
        "Flatten the window, take torch.softmax(..., dim=0), and give the result the window's "
        "shape again.",
        "return grad * torch.softmax(window.flatten() / temperature, 0).view(2, 2)",
    ],
    praise="A value that loses by little gets little less. The weights add up to 1, so the window "
    "passes on as much as max-pooling itself would.",
)
def share(answer: Any) -> str | None:
    """A function that shares a gradient in a 2 x 2 window."""
    import torch

    if not callable(answer):
        return f"Expected the function share itself, and this is {type(answer).__name__}."
    window, grad = torch.tensor([[0.6, 0.5], [-0.2, -0.8]]), -2.0
    found = answer(window.clone(), grad, _TEMPERATURE)
    if found is None or found is ...:
        return "Not answered yet: let share return the four gradients, not three dots."
    if not isinstance(found, torch.Tensor) or found.shape != window.shape:
        what = f"shape {tuple(found.shape)}" if hasattr(found, "shape") else type(found).__name__
        return f"share returns {what}; expected a tensor of the window's shape, (2, 2)."
    u = window / _TEMPERATURE
    weights = torch.softmax(u.flatten(), 0).view(2, 2)
    mean = (weights * u).sum()
    if _alike(found, grad * weights):
        return _large_values(answer)
    known = (
        (weights, "These are the weights; multiply them by grad."),
        (
            grad * (window == window.max()),
            "The largest value gets all; that is max-pooling's own rule, T -> 0.",
        ),
        (
            grad * torch.softmax(u, 0),
            "Each column is shared for itself; take one softmax over all four values.",
        ),
        (
            grad * torch.softmax(u, 1),
            "Each row is shared for itself; take one softmax over all four values.",
        ),
        (
            grad * torch.softmax(window.flatten(), 0).view(2, 2),
            "The temperature is not used; divide the values by it before the softmax.",
        ),
        (
            grad * torch.softmax(window.flatten() * _TEMPERATURE, 0).view(2, 2),
            "The values are multiplied by T; divide them by it.",
        ),
        (
            grad * u.exp(),
            "The weights do not add up to 1; divide by the sum over the window.",
        ),
        (
            grad * weights * (1 + u - mean),
            "That is the derivative of softmax pooling, weights included; here the weights are "
            "constants.",
        ),
        (
            grad * torch.softmax(-u.flatten(), 0).view(2, 2),
            "The smallest value gets most; the sign is wrong.",
        ),
    )
    for values, said in known:
        if _alike(found, values):
            return said
    return (
        f"The window [[0.6, 0.5], [-0.2, -0.8]] with grad -2 at T = {_TEMPERATURE} gives "
        f"{_rounded(found)}, expected {_rounded(grad * weights)}; check the formula for w."
    )


def _large_values(share: Any) -> str | None:
    import torch

    window = torch.tensor([[1000.0, 999.9], [-1000.0, 0.0]])
    found = share(window.clone(), 1.0, 0.1)
    expected = torch.softmax(window.flatten() / 0.1, 0).view(2, 2)
    if torch.isfinite(found).all() and torch.allclose(found, expected, atol=1e-3):
        return None
    return (
        "It is right for small values, but with 1000 in the window exp() overflows; use "
        "torch.softmax, or subtract the largest value first."
    )


@exercise(
    "3.3",
    hints=[
        "The new part is a module whose forward returns (0.3 * softplus(z / 0.3)).clamp(max=6), "
        "with torch.nn.functional.softplus.",
        "soft = replaced(network, nn.ReLU6, lambda owner: SoftBothWays()), with "
        "class SoftBothWays(nn.Module): and a forward in it.",
        "with torch.no_grad(): probability = float(soft(coffee[None])[0].softmax(0)[espresso])",
    ],
    praise="From 96 % to 3 %: softened in both directions it is another network, and the "
    "gradient would explain that one.",
)
def soft_in_both_directions(answer: Any) -> str | None:
    """The probability of espresso with softplus in place of every ReLU6."""
    value = as_number(answer)
    if value is None:
        return (
            f"A probability is a number, and this is {type(answer).__name__}; take the entry of "
            "espresso and float() of it."
        )
    if abs(value - _BOTH) <= 0.005:
        return None
    if not 0 <= value <= 1:
        if abs(value - 100 * _BOTH) <= 0.3:
            return f"{value:.3g} are per cent; give a number between 0 and 1."
        return (
            f"A probability lies between 0 and 1, and this is {value:.3g}; take the softmax of the "
            "logits."
        )
    for other, said in _OTHERS.items():
        if abs(value - other) <= 0.02 * other + 0.0005:
            return f"You have {value:.3g}, {said}"
    if value < _LOST:
        return (
            f"You have {value:.2g}, a network that has lost everything; did you forget the factor "
            "T in T * softplus(z / T), or multiply z by T?"
        )
    return (
        f"You have {value:.3g}, which is not what comes out for T = 0.3; is every ReLU6 replaced "
        "by (0.3 * softplus(z / 0.3)).clamp(max=6), the photograph `coffee`, the class `espresso`?"
    )


@exercise(
    "3.4",
    hints=[
        "Each gate is sigmoid(0). print(net) shows all layers; a path passes each ReLU layer once.",
        "digit_session.pullback(8, pw.Softening(1e6, units='absolute')).norm() is the numerator.",
        "Four gates of one half each.",
    ],
    praise="One half for each of four gates. In a network with skip connections no single factor "
    "will do: its paths have different numbers of gates, and the short ones win.",
)
def left_over(answer: Any) -> str | None:
    """Length of the pullback at T -> infinity over that of the linear network's gradient."""
    value = as_number(answer)
    if value is None:
        return (
            f"A factor is a number, and this is {type(answer).__name__}; divide the norms, and "
            "take float() of it."
        )
    expected = 0.5**_GATES
    if abs(value - expected) <= 0.005 * expected:
        return None
    if abs(value - 1 / expected) <= 0.005 / expected:
        return f"{value:g} is the inverse; divide the pullback's length by that of linear_gradient."
    if value == 0.5:
        return "One half is what one gate passes; a path through net meets more than one."
    if abs(value - 1) < 0.005:
        return (
            "The factor 1 would mean that every gate is open; for T -> infinity each is sigmoid(0)."
        )
    for gates in range(2, 13):
        if abs(value - 0.5**gates) <= 0.005 * 0.5**gates:
            return f"That would be {gates} gates on each path; count the ReLUs in print(net)."
    return (
        f"You have {value:.4g}, which is no power of one half; compare the lengths, norm(), of the "
        "two for the same image and class, at T = 1e6 in absolute units."
    )


def _alike(found: Any, expected: Tensor) -> bool:
    import torch

    return found.shape == expected.shape and torch.allclose(
        found.to(expected), expected, rtol=1e-4, atol=1e-6
    )


def _rounded(values: Tensor) -> str:
    return str([[round(value, 3) for value in row] for row in values.tolist()])
