"""Heads of attention as channels of a layer of their own."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from networks import image, plain_gradient, seeded, wrap
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.engine.recording import Recording
from pullback_widgets.engine.tokens import Tokens

WIDTH, HEADS, TOKENS = 6, 2, 17

Attend = Callable[[Tensor, Tensor, Tensor], Tensor]


def fused(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(q, k, v)


def product(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.softmax(q @ k.mT * q.shape[-1] ** -0.5, -1) @ v


def method(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights = q.matmul(k.transpose(-2, -1)).mul(q.shape[-1] ** -0.5).softmax(dim=-1)
    return F.dropout(weights, 0.1, training=False).matmul(v)


def values_first(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return (v.mT @ torch.softmax(q @ k.mT * q.shape[-1] ** -0.5, -1).transpose(-2, -1)).mT


def einsum(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights = torch.softmax(q @ k.mT * q.shape[-1] ** -0.5, -1)
    out = torch.einsum("b h i j, b h j d -> b i h d", weights, v)
    return out.transpose(1, 2)


def dotted(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights = torch.softmax(torch.einsum("...id,...jd->...ij", q, k) * q.shape[-1] ** -0.5, -1)
    return torch.einsum("...ij,...jd->...id", weights, v)


def by_keys(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The weights' axes are keys and queries, and their sum over keys is 1."""
    weights = torch.softmax(k @ q.mT * q.shape[-1] ** -0.5, -2)
    return torch.einsum("bhji,bhjd->bhid", weights, v)


def turned(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights = torch.softmax(k @ q.mT * q.shape[-1] ** -0.5, -2)
    return F.dropout(weights.mT, 0.1, training=False) @ v


def turned_twice(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    weights = torch.softmax(q @ k.mT * q.shape[-1] ** -0.5, -1).swapaxes(-1, -2).movedim(-1, -2)
    return (v.mT @ weights.adjoint()).mT


def overwritten(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    out = F.scaled_dot_product_attention(q, k, v)
    kept = out.clone()
    out.mul_(0)
    return kept


class Attention(nn.Module):
    """Two heads, written by hand."""

    def __init__(self, attend: Attend) -> None:
        super().__init__()
        self.attend = attend
        self.qkv, self.proj = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)

    def forward(self, t: Tensor) -> Tensor:
        q, k, v = self.qkv(t).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        out: Tensor = self.proj(self.attend(q, k, v).transpose(1, 2).flatten(2))
        return out


class Multi(nn.Module):
    """The same in torch's own module."""

    def __init__(self, need_weights: bool) -> None:
        super().__init__()
        self.need_weights = need_weights
        self.own = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)

    def forward(self, t: Tensor) -> Tensor:
        out: Tensor = self.own(t, t, t, need_weights=self.need_weights)[0]
        return out


class Transformer(nn.Module):
    """Patches of 2 x 2 pixels behind a class token, one attention, GELU."""

    def __init__(self, attention: nn.Module) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.full((1, 1, WIDTH), 0.3))
        self.patches = nn.Conv2d(3, WIDTH, 2, 2)
        self.mix, self.attn = nn.Linear(WIDTH, WIDTH), attention
        self.head = nn.Linear(WIDTH, 4)

    def tokens(self, x: Tensor) -> Tensor:
        t = self.patches(x).flatten(2).transpose(1, 2)
        t = torch.cat([self.cls_token.expand(len(x), -1, -1), t], 1)
        return F.gelu(self.mix(t))

    def forward(self, x: Tensor) -> Tensor:
        t = self.tokens(x)
        out: Tensor = self.head((t + self.attn(t)).mean(1))
        return out


ATTENTIONS: dict[str, Callable[[], nn.Module]] = {
    **{
        one.__name__: lambda one=one: Attention(one)  # type: ignore[misc]
        for one in (
            *(fused, product, method, values_first, overwritten),
            *(einsum, dotted, by_keys, turned, turned_twice),
        )
    },
    "multi": lambda: Multi(False),
    "multi with weights": lambda: Multi(True),
}
every = pytest.mark.parametrize("name", ATTENTIONS)


def transformer(name: str) -> Transformer:
    """One network, written in several ways, with the same weights."""
    network, model = seeded(Transformer(ATTENTIONS[name]())), seeded(Transformer(Attention(fused)))
    given = model.state_dict()
    if isinstance(network.attn, Multi):
        own = "attn.own."
        renamed = {
            "attn.qkv.weight": own + "in_proj_weight", "attn.qkv.bias": own + "in_proj_bias",
            "attn.proj.weight": own + "out_proj.weight", "attn.proj.bias": own + "out_proj.bias",
        }  # fmt: skip
        given = {renamed.get(key, key): value for key, value in given.items()}
    network.load_state_dict(given)
    return network


def layer(name: str) -> str:
    return "attn.own:heads" if name.startswith("multi") else "attn:heads"


def lengths(x: Tensor) -> Tensor:
    """The definition: (N, heads, tokens)."""
    network = transformer("fused")
    assert isinstance(network.attn, Attention)
    qkv = network.attn.qkv(network.tokens(x))
    q, k, v = (torch.stack([part[..., :3], part[..., 3:]], 1) for part in qkv.split(WIDTH, -1))
    weights = torch.softmax(q @ k.mT / 3**0.5, -1)
    return (weights @ v).square().sum(-1).sqrt()


@every
def test_values_are_the_lengths_of_what_heads_write(name: str) -> None:
    network = transformer(name)
    session = pw.Session(wrap(network), image(1, 2))
    found = next(one for one in session.layers if one.name == layer(name))
    assert found.shape == (HEADS, TOKENS) and found.kind == "Heads" and not found.windows
    assert found.tokens == Tokens(("class token",), (4, 4))
    assert torch.allclose(session.activations(found.name), lengths(image(1, 2)), atol=1e-12)
    assert torch.equal(session.logits, network(image(1, 2)))  # the forward pass is the network's


@every
def test_the_hard_gradient_is_that_of_the_length(name: str) -> None:
    session = pw.Session(wrap(transformer(name)), image(1))
    for target, defined in [
        (pw.Channel(layer(name), 1), lambda x: lengths(x)[:, 1].mean(1)),
        (pw.Channel(layer(name), 1, "max"), lambda x: lengths(x)[:, 1].amax(1)),
        (pw.Unit(layer(name), 0, (2, 3)), lambda x: lengths(x)[:, 0, 12]),
        (pw.Unit(layer(name), 1, (0,)), lambda x: lengths(x)[:, 1, 0]),
    ]:
        pulled = session.pullback(target, pw.Softening.hard())
        assert torch.allclose(pulled, plain_gradient(defined, image(1)), atol=1e-12)
        assert bool(pulled.any())


def test_finite_differences() -> None:
    model, target = wrap(transformer("multi")), pw.Unit("attn.own:heads", 1, (5,))
    pulled = pw.pullback(model, image(1), target, pw.Softening.hard())
    way = torch.randn(3, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    step = 1e-5
    more, less = (pw.Session(model, image(1) + sign * step * way).score(target) for sign in (1, -1))
    assert (more - less) / (2 * step) == pytest.approx(float((pulled * way).sum()), rel=1e-6)


@every
@pytest.mark.parametrize(
    "softening",
    [
        pw.Softening.held(),
        pw.Softening.relative(0.85),
        pw.Softening(0.4, units="absolute", attention="held", attention_temperature=2.0),
        pw.Softening.hard(),
    ],
    ids=["held", "relative", "attention at 2", "hard"],
)
def test_all_ways_to_write_attention_agree(name: str, softening: pw.Softening) -> None:
    def pulled(name: str) -> Tensor:
        session = pw.Session(wrap(transformer(name)), image(1))
        once = session.pullback(pw.Channel(layer(name), 1), softening)
        assert torch.equal(session.pullback(pw.Channel(layer(name), 1), softening), once)
        return once

    assert torch.allclose(pulled(name), pulled("fused"), atol=1e-12)


@every
def test_passes_without_gradients_and_those_that_stop_there(name: str) -> None:
    model = wrap(transformer(name))
    assert pw.layers(model) == pw.Session(model, model.blank()).layers
    x = image(1, 2)
    for grad in (True, False):
        stopped = Recording(model, x, until={layer(name)}, grad=grad)
        assert stopped.logits is None
        assert torch.allclose(stopped.value(layer(name)), lengths(x), atol=1e-12)


def test_held_heads_are_complete() -> None:
    for name in ("fused", "multi"):
        session = pw.Session(wrap(transformer(name)), image(1))
        parts = session.completeness(pw.Channel(layer(name), 1), pw.Softening.held())
        assert abs(parts.residual) < 1e-10 and not parts.unknown


def test_a_head_that_writes_nothing() -> None:
    network = transformer("fused")
    assert isinstance(network.attn, Attention)
    with torch.no_grad():
        network.attn.qkv.weight[2 * WIDTH :].zero_()
        network.attn.qkv.bias[2 * WIDTH :].zero_()
    recording = Recording(wrap(network), image(1, 1))
    assert not bool(recording.value("attn:heads").any())
    pulled = recording.pull([pw.Channel("attn:heads", 0)], pw.Softening.hard())
    assert bool(pulled.isfinite().all())


class Twice(nn.Module):
    """One attention called twice, each time with two of its own; in windows, which fill a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.attn = nn.Conv2d(3, WIDTH, 2, 2), Self()

    def forward(self, x: Tensor) -> Tensor:
        t = self.patches(x).unflatten(2, (2, 2)).flatten(3).permute(0, 2, 3, 1).flatten(0, 1)
        out: Tensor = self.attn(self.attn(t)).unflatten(0, (len(x), 2)).mean((1, 2))
        return out


class Self(nn.Module):
    def forward(self, t: Tensor) -> Tensor:
        q = t.unflatten(2, (HEADS, -1)).transpose(1, 2)
        out: Tensor = fused(product(q, q, q), q, q).transpose(1, 2).flatten(2)
        return out


def test_windows_and_several_calls() -> None:
    session = pw.Session(wrap(seeded(Twice())), image(1))
    heads = [one for one in session.layers if one.is_heads]
    names = ["attn:heads", "attn:heads:2", "attn:2:heads", "attn:2:heads:2"]
    assert [one.name for one in heads] == names
    assert all(one.shape == (HEADS, 2, 8) and one.windows for one in heads)
    assert bool(session.pullback(pw.Unit("attn:2:heads", 1, (1, 3))).any())
    with pytest.raises(ValueError, match="nearest: attn:heads"):
        session.pullback(pw.Channel("attn:head", 0))


def crossed(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return fused(q, k, v)


def crossed_by_hand(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return torch.softmax(q @ k.mT * q.shape[-1] ** -0.5, -1) @ v


def summed_up(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """A matrix of features by features, which CoaT multiplies the queries by."""
    return (torch.softmax(k, -1) @ v.mT) @ q


def features(attend: Attend, count: int = TOKENS) -> nn.Module:
    """Two heads of so many features, which attend from features to features of 16 tokens."""

    class Crossed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.drop = nn.Dropout()  # a layer of other axes stands between

        def forward(self, t: Tensor) -> Tensor:
            q = t.unflatten(2, (HEADS, count)).permute(0, 2, 3, 1)
            return attend(self.drop(q), q, q).flatten(1, 2).mT

    width = HEADS * count
    return seeded(nn.Sequential(nn.Conv2d(3, width, 2, 2), Flat(), nn.LayerNorm(width), Crossed()))


@pytest.mark.parametrize("attend", [crossed, crossed_by_hand])
def test_heads_that_attend_to_features_write_at_tokens(attend: Attend) -> None:
    """As XCiT's: 17 features are not a class token and 4 x 4 patches."""
    network = features(attend)
    session = pw.Session(wrap(network), image(1))
    (heads,) = [one for one in session.layers if one.is_heads]
    assert heads.name == "3:heads" and heads.shape == (HEADS, 16)
    assert heads.tokens == Tokens((), (4, 4))

    def lengths(x: Tensor) -> Tensor:
        written = network(x).unflatten(2, (HEADS, TOKENS))
        out: Tensor = written.norm(dim=3).mT
        return out

    assert torch.allclose(session.activations("3:heads"), lengths(image(1, 1))[0], atol=1e-12)
    pulled = session.pullback(pw.Unit("3:heads", 1, (2, 3)), pw.Softening.hard())
    defined = plain_gradient(lambda x: lengths(x)[:, 1, 11], image(1))
    assert torch.allclose(pulled, defined, atol=1e-12) and bool(pulled.any())
    assert pw.layers(wrap(network)) == session.layers


def test_a_matrix_of_features_has_no_tokens() -> None:
    """As CoaT's: 17 features are not a class token and 4 x 4 patches."""
    heads = [one for one in pw.layers(wrap(features(summed_up))) if one.is_heads]
    assert [(one.shape, one.tokens) for one in heads] == [((HEADS, TOKENS), None)]


class Flat(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(2).mT


def test_networks_of_others() -> None:
    models = pytest.importorskip("torchvision.models")
    vit = models.VisionTransformer(8, 4, 2, 2, 12, 24, num_classes=4)
    found = pw.layers(wrap(seeded(vit)))
    heads = [one for one in found if one.is_heads]
    names = [f"encoder.layers.encoder_layer_{n}.self_attention:heads" for n in range(2)]
    assert [one.name for one in heads] == names
    assert all(one.shape == (2, 5) for one in heads)
    assert heads[0].tokens == Tokens(("class token",), (2, 2))


def test_nothing_is_left_of_a_recording() -> None:
    recording = Recording(wrap(transformer("multi")), image(1, 1))
    recording.pull([pw.Channel("attn.own:heads", 0)], pw.Softening.hard())
    graph = weakref.ref(recording.value("attn.own:heads"))
    gc.disable()
    try:
        del recording
        assert graph() is None  # without the garbage collector
    finally:
        gc.enable()


def test_captum_says_that_it_sees_no_heads() -> None:
    pytest.importorskip("captum")
    model = wrap(transformer("fused"))
    session, target = pw.Session(model, image(1)), pw.Channel("attn:heads", 0)
    with pytest.raises(ValueError, match="'attn:heads', heads of attention, which they do not see"):
        pw.attribute("integrated_gradients", session, target)
    with pytest.raises(ValueError, match="'attn:heads', heads of attention, which they do not see"):
        pw.attribute("grad_cam", session, 0, layer="attn:heads")
    assert bool(pw.attribute("smooth_pullback", session, target, samples=2).any())


def test_the_explorer_shows_a_head() -> None:
    model = wrap(transformer("fused"))
    explorer = pw.Explorer(model, image(1), layer="attn:heads", channel=1, position=(3, 3))
    try:
        assert explorer.wait(60) and not explorer.error
        result = explorer.result
        assert result is not None
        assert "attn:heads" in [one.name for one in result.layers]
        assert result.title == "attn:heads, channel 1 at the patch (3, 3)"
        assert {channel for channel, _ in result.view.strongest} == {0, 1}
        assert all(values.shape == (4, 4) for _, values in result.view.strongest)
        target = pw.Unit("attn:heads", 1, (3, 3))
        assert torch.equal(explorer.pullback, pw.pullback(model, image(1), target))
    finally:
        explorer.close()


def test_an_atlas_of_heads() -> None:
    images = {"one": image(1), "two": image(2)}
    atlas = pw.layer_atlas(wrap(transformer("multi")), "attn.own:heads", images=images)
    assert atlas.pullbacks.shape[0] == HEADS and bool(atlas.done.all())
