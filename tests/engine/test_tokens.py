"""Tokens: their patches, what the others are called, and targets at a patch."""

from __future__ import annotations

import pytest
import torch
from networks import image, seeded, wrap
from torch import Tensor, nn

import pullback_widgets as pw
from pullback_widgets.engine.tokens import Tokens

WIDTH = 6


class Tokened(nn.Module):
    """Patches of 2 x 2 pixels, 4 x 4 of them, behind tokens of the network's own."""

    def __init__(self, **own: int) -> None:
        super().__init__()
        self.own = list(own)
        for name, count in own.items():
            self.register_parameter(name, nn.Parameter(torch.zeros(1, count, WIDTH)))
        self.patches = nn.Conv2d(3, WIDTH, 2, 2)
        self.mix, self.norm, self.head = (
            nn.Linear(WIDTH, WIDTH),
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, 4),
        )

    def forward(self, x: Tensor) -> Tensor:
        t = self.patches(x).flatten(2).transpose(1, 2)
        own = [getattr(self, name).expand(len(x), -1, -1) for name in self.own]
        t = self.mix(torch.cat([*own, t], 1))
        t = t + torch.softmax(t @ t.mT, -1) @ t
        out: Tensor = self.head(self.norm(t).mean(1))
        return out


def session(**own: int) -> pw.Session:
    return pw.Session(wrap(seeded(Tokened(**own))), image(1))


def tokens(found: pw.Session, layer: str = "mix") -> Tokens | None:
    return next(one.tokens for one in found.layers if one.name == layer)


@pytest.mark.parametrize(
    ("own", "names"),
    [
        ({}, ()),
        ({"cls_token": 1}, ("class token",)),
        ({"class_embedding": 1}, ("class token",)),
        ({"cls_token": 1, "dist_token": 1}, ("class token", "distillation token")),
        (
            {"cls_token": 1, "reg_token": 2},
            ("class token", "register token 1", "register token 2"),
        ),
        ({"register_tokens": 1}, ("register token 1",)),
        ({"prompt": 2}, ("token 0, no patch", "token 1, no patch")),
    ],
    ids=str,
)
def test_what_the_tokens_are(own: dict[str, int], names: tuple[str, ...]) -> None:
    assert tokens(session(**own)) == Tokens(names, (4, 4))
    assert tokens(session(**own), "patches") is None  # a map, no tokens
    assert tokens(session(**own), "head") is None


class Seam(nn.Module):
    """A class token is put in front, and nothing with weights stands behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, WIDTH))
        self.patches, self.seam, self.act = nn.Conv2d(3, WIDTH, 2, 2), nn.Identity(), nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        t = self.patches(x).flatten(2).mT
        return self.act(self.seam(torch.cat([self.cls_token.expand(len(x), -1, -1), t], 1))).mean(1)


def test_a_class_token_in_front_leaves_the_channels_where_they_are() -> None:
    found = pw.Session(wrap(seeded(Seam())), image(1))
    for name in ("seam", "act"):
        (layer,) = [one for one in found.layers if one.name == name]
        assert layer.shape == (WIDTH, 17) and layer.tokens == Tokens(("class token",), (4, 4))
    scale = found.recording.gate_scale("act")
    assert scale is not None and len(scale) == WIDTH


def test_the_strongest_channel_at_a_patch() -> None:
    found = session(register_tokens=1)
    values = found.activations("mix").float()
    number = tokens(found).number((1, 3))
    ((channel, value),) = found.strongest("mix", (1, 3), k=1)
    assert value == float(values[:, number].max()) == float(values[channel, number])
    assert found.strongest("mix", (number,), k=1) == [(channel, value)]


def test_tokens_that_are_no_patches_are_not_taken_for_them() -> None:
    assert tokens(session(prompt=40)) is None


def test_the_patch_of_a_token() -> None:
    found = Tokens(("class token",), (2, 3))
    assert [found.patch(n) for n in (0, 1, 3, 4, 6)] == [None, (0, 0), (0, 2), (1, 0), (1, 2)]
    assert [found.number((y, x)) for y in range(2) for x in range(3)] == list(range(1, 7))
    assert (found.name(0), found.name(5)) == ("class token", "patch (1, 1)")


@pytest.mark.parametrize("make", [pw.Unit, lambda layer, c, at: pw.Direction(layer, [1.0] * 6, at)])
def test_a_target_at_a_patch(make: object) -> None:
    found = session(cls_token=1)
    at_patch = found.pullback(make("mix", 2, (1, 3)))  # type: ignore[operator]
    assert torch.equal(at_patch, found.pullback(make("mix", 2, (8,))))  # type: ignore[operator]
    # Before tokens are mixed, a token sees its patch alone.
    assert bool(at_patch[:, 2:4, 6:8].any())
    at_patch[:, 2:4, 6:8] = 0
    assert not bool(at_patch.any())
    with pytest.raises(ValueError, match=r"Patch \(4, 0\) is not in layer 'mix', whose tokens are"):
        found.pullback(make("mix", 2, (4, 0)))  # type: ignore[operator]
    both = pw.Unit("mix", 2, (1, 3)) - pw.Unit("mix", 2, (0, 0))
    by_hand = found.pullback(pw.Unit("mix", 2, (8,))) - found.pullback(pw.Unit("mix", 2, (1,)))
    assert torch.allclose(found.pullback(both), by_hand)


class Windowed(nn.Module):
    """Four windows, which stand in the batch while they are mixed."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.mix, self.head = nn.Conv2d(3, 4, 1), nn.Linear(4, 5), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x).unflatten(2, (2, 4)).unflatten(4, (2, 4)).permute(0, 2, 4, 3, 5, 1)
        out: Tensor = self.head(
            self.mix(h.reshape(-1, 16, 4)).unflatten(0, (len(x), 4)).mean((1, 2))
        )
        return out


def test_windows_are_no_places_of_the_image() -> None:
    layers = {one.name: one for one in pw.Session(wrap(seeded(Windowed())), image(1)).layers}
    assert layers["mix"].shape == (5, 4, 16)
    assert layers["mix"].windows and not layers["conv"].windows


def test_the_explorer_marks_the_patch() -> None:
    model = wrap(seeded(Tokened(cls_token=1)))
    explorer = pw.Explorer(model, image(1), layer="mix", channel=2, position=(3, 3))
    try:
        assert explorer.wait(60) and not explorer.error
        result = explorer.result
        assert result is not None
        assert result.title == "mix, channel 2 at the patch (3, 3)"
        assert explorer._screen.picture._cell == (0.75, 0.75, 0.25, 0.25)
        assert explorer._neuron.place.value == "3, 3"
        assert all(values.shape == (4, 4) for _, values in result.view.strongest)
        explorer._picked(0.9, 0.3)
        assert explorer.wait(60) and explorer.position == (8,)
        assert explorer.result.title == "mix, channel 2 at the patch (1, 3)"
        assert explorer._screen.picture._cell == (0.75, 0.25, 0.25, 0.25)
        explorer.position = (2, 0)  # row and column
        assert explorer.position == (9,)
        explorer.position = (0,)
        assert explorer.wait(60)
        assert explorer.result.title == "mix, channel 2 at the class token"
        assert explorer._screen.picture._cell is None
    finally:
        explorer.close()
