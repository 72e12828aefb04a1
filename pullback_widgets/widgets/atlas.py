"""The layer atlas, live: pages of channels, sorted or searched, the visible ones computed first."""

from __future__ import annotations

import dataclasses
import html
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import ipywidgets as w
import traitlets as t

from ..engine.layer import Layer, unknown_layer
from ..engine.model import Model
from ..engine.session import layers as layers_of
from ..engine.target import Channel
from ..figures import atlas
from ..figures.atlas import EVERY_SAMPLE, PAIRS, PER_PAGE, TILES, Atlas, AtlasRequest
from ..figures.images import photographs
from .explorable import ExplorableFigure
from .kit.binding import bind
from .kit.boxes import names_box
from .kit.layer_field import LayerField
from .kit.layout import row
from .kit.offers import in_place_of
from .kit.sources import network_box, upload_button
from .kit.temperature import temperature_row
from .kit.tiles import TileBoard, tile_beside
from .kit.traits import SofteningTraits

COLUMNS, ROWS = 8, 5
ORDERS: dict[str, atlas.By] = {"strongest first": "activation", "by number": "channel"}


class LayerAtlas(SofteningTraits, ExplorableFigure):
    """Every channel of a layer as a small pullback, on the image that excites it most.

    Stopped, it goes on with Run. Nothing but thumbnails stays in memory; with a ``folder``, these
    are files and a later atlas of the same choices goes on with them.

    Attributes:
        model: The network; see ``Explorer``.
        layer: Dotted layer name; None for one half way through the network.
        images: Where strongest examples are looked for: what ``Session`` takes, a list or a
            mapping from names to such, or a folder.
        channels: Some channels; None for all.
        softening: How gates are softened in the backward pass.
        temperature: The softening's temperature; 0 is the plain gradient.
        units: ``"relative"`` or ``"absolute"`` temperature.
        folder: Keeps the atlas on disk; None for the memory.
        by: ``"activation"`` for the strongest first, or ``"channel"``.
        search: A channel, a range such as ``"0-63"``, or a part of an image's name.
        shown: ``"photograph and pullback"``, ``"pullback"`` or ``"photograph"``.
        page: From 0 up.
        result: An ``Atlas``, as far as it is computed.
    """

    TITLE = "Layer atlas"
    RESULT = Atlas
    GOES_ON = True
    REQUEST = AtlasRequest

    def __init__(
        self,
        model: Any = "efficientnet_lite0",
        layer: str | None = None,
        images: Any = EVERY_SAMPLE,
        **choices: Any,
    ) -> None:
        """Make the atlas and start computing; see the attributes for the arguments."""
        self._board = TileBoard()
        self._board.on_click = lambda row, column, x, y: self.guard(lambda: self.pick(row, column))
        self._drawn: Any = None
        self._anew = False
        self._known: tuple[Model, list[Layer], str] | None = None
        super().__init__(model=model, layer=layer, images=images, **choices)
        self.observe(lambda change: self._board.opened(None), "explorer")

    def pick(self, row: int, column: int) -> None:
        """Open a tile's channel in an Explorer under the atlas, on its strongest example."""
        result = self.result
        place = (row * COLUMNS + column) // len(TILES[self.shown])
        visible = [] if result is None else self._visible(result)
        if place >= len(visible) or result.name(visible[place]) == "":
            return
        channel = visible[place]
        self.explore(
            model=result.model,
            image=result.sources[result.name(channel)],
            target=Channel(result.layer.name, channel, reduce="max"),
            softening=result.softening,
            view="pullback",
        )
        self._board.mark(row, column)
        self._board.opened((row, column))

    def run(self) -> None:
        """Go on where it was stopped; a finished atlas is computed anew."""
        self._anew = self.result is not None and self.result.progress >= 1
        super().run()

    # The computation.

    def steps_of(self, request: AtlasRequest) -> Iterator[Atlas]:
        model = request.model
        if self._known is None or self._known[0] is not model:
            self._known = model, layers_of(model), atlas.middle_layer(model)
        request = dataclasses.replace(request, layer=request.layer or self._known[2])
        earlier, self._anew = None if self._anew else self.result, False
        return atlas.compute(request, earlier, first=self._visible)

    @property
    def per_page(self) -> int:
        """Channels on a page of the board."""
        return COLUMNS * ROWS // len(TILES[self.shown])

    def _visible(self, result: Atlas) -> list[int]:
        """The channels on the page, in their order."""
        found = result.find(self.search, self.by)
        page = min(self.page, max(0, math.ceil(len(found) / self.per_page) - 1))
        return found[page * self.per_page :][: self.per_page]

    # What is seen.

    def is_seen(self, result: Atlas) -> bool:
        return result.surveyed and all(
            result.done[result.row(channel)] for channel in self._visible(result)
        )

    def show(self, result: Atlas) -> None:
        # The channels' order is settled when all images have been looked at.
        visible = self._visible(result) if result.surveyed else []
        tiles = TILES[self.shown]
        drawn = result, self.shown, visible
        if self._drawn is None or self._drawn[0] is not result:
            known = self._known[1] if self._known is not None else []
            self._layer.know([one for one in known if one.shape])
            self._show_layer()
        if self._drawn != drawn:
            self._drawn = drawn
            rows = min(ROWS, math.ceil(len(result.channels) * len(tiles) / COLUMNS))
            self._board.clear([""] * rows, [""] * COLUMNS, tile=self._tile, captions=1)
            if result.surveyed:
                self._blank(range(len(visible) * len(tiles), rows * COLUMNS))
            self._put: set[int] = set()
            self._show_place(result)
        for place, channel in enumerate(visible):
            if channel not in self._put and result.done[result.row(channel)]:
                self._put.add(channel)
                for number, kind in enumerate(tiles):
                    self._put_tile(result, channel, kind, place * len(tiles) + number)
        result.page = self.page * self.per_page // PER_PAGE  # where the figure has them

    _tile = tile_beside(COLUMNS, labels=0)

    def _put_tile(self, result: Atlas, channel: int, kind: atlas.Shown, place: int) -> None:
        number, image = result.label(channel), result.name(channel)
        caption = image if kind == "photograph" and len(TILES[self.shown]) > 1 else number
        self._board.put(*divmod(place, COLUMNS), result.picture(channel, kind), caption)

    def _blank(self, places: range) -> None:
        """Nothing where there is no channel, so that none seems to be missing."""
        for place in places:
            self._board.put(*divmod(place, COLUMNS), "")

    def _show_layer(self) -> None:
        """The chosen layer; where none is, that of the atlas."""
        shown = "" if self.result is None else self.result.layer.name
        self._layer.show(self.layer or shown)

    def _show_place(self, result: Atlas) -> None:
        """Which page of how many."""
        found = len(result.find(self.search, self.by))
        pages = max(1, math.ceil(found / self.per_page))
        page = min(self.page, pages - 1)
        if page != self.page:
            self._restore({"page": page})
        self._back.disabled, self._forth.disabled = page == 0, page == pages - 1
        all_of = "" if found == len(result.channels) else f" of {len(result.channels)}"
        what = f"{found}{all_of} channel{'s' if found != 1 else ''}"
        self._place.value = (
            f'<div class="pullback-status">page {page + 1} of {pages}, {what}</div>'
            if found
            else '<div class="pullback-status">no channel fits</div>'
        )

    def screen(self) -> w.Widget:
        return self._board.box

    def controls(self) -> Sequence[w.Widget]:
        self._layer = LayerField(lambda name: self.attempt("layer", name), 340)
        self.follow("layer", lambda _: self._show_layer())
        folder = names_box(
            self,
            "images",
            parse=lambda text: text.strip() or EVERY_SAMPLE,
            write=lambda value: str(value) if isinstance(value, str | Path) else "",
            description="Images",
            placeholder="a folder; empty: the samples",
            layout=w.Layout(width="340px"),
        )
        upload = upload_button(self, self._add, description="Add photographs")
        order = w.Dropdown(options=ORDERS, description="Order", layout=w.Layout(width="210px"))
        order.style.description_width = "44px"
        bind(self, "by", order)
        search = w.Text(
            description="Find",
            placeholder="12, 0-63, or a photograph's name",
            continuous_update=False,
            layout=w.Layout(width="270px"),
            style={"description_width": "36px"},
        )
        bind(self, "search", search)
        shown = w.Dropdown(options=list(TILES), description="Show", layout=w.Layout(width="250px"))
        shown.style.description_width = "44px"
        bind(self, "shown", shown)
        self._back = self._button("◀ Page", "The page before", -1)
        self._forth = self._button("Page ▶", "The next page", 1)
        self._place = w.HTML(layout=w.Layout(margin="0 0 0 8px"))
        under = [
            row(network_box(self), folder, upload),
            temperature_row(self),
            row(order, search, shown),
            row(self._back, self._forth, self._place),
        ]
        return [
            row(self._layer.text, self._layer.steps, self._layer.about),
            in_place_of(self._layer.offers, *under),
        ]

    def _button(self, name: str, tooltip: str, by: int) -> w.Button:
        button = w.Button(description=name, tooltip=tooltip, layout=w.Layout(width="80px"))
        button.on_click(lambda _: self.attempt("page", self.page + by))
        return button

    def _add(self, name: str, content: bytes) -> None:
        self.assign(images={**photographs(self.images), name: content})

    def caption(self, result: Atlas) -> str:
        if not result.surveyed:
            return (
                f"Looking for the strongest examples of {len(result.channels)} channels: "
                f"{result.seen} of {len(result.sources)} images."
            )
        if not self._visible(result):
            return f"No channel fits <b>{html.escape(self.search)}</b>; try another search."
        what = {
            PAIRS: "The image that excites each channel most, and beside it the channel's pullback",
            "pullback": "The pullback of each channel",
            "photograph": "The image that excites each channel most",
        }[self.shown]
        where = (
            f"at the place that it answers to ({result.box} px wide)"
            if result.box < min(result.made_with["image_size"])
            else "the whole image"
        )
        many = len(result.skipped)
        skipped = (
            f" {many} file{'s' * (many > 1)} could not be read, for instance "
            f"{html.escape(next(iter(result.skipped)))}."
            if many
            else ""
        )
        return (
            f"{what}, {where}; #number of the channel and its mean activation. "
            f"Click a tile to explore it.{skipped}"
        )

    # Settling and checking.

    def _settlers(self) -> dict[str, Callable[[Any], None]]:
        def to_start(change: Any) -> None:
            self.assign(page=0)

        return {
            **super()._settlers(),
            "model": self._settle_model,
            "layer": self._settle_layer,
            "by": to_start,
            "search": to_start,
            "shown": self._settle_shown,
        }

    def _settle_model(self, change: Any) -> None:
        self.assign(layer=None, channels=None, page=0)

    def _settle_layer(self, change: Any) -> None:
        self.assign(channels=None, page=0)

    def _settle_shown(self, change: Any) -> None:
        # The first channel of the page stays on the page.
        first = self.page * COLUMNS * ROWS // len(TILES[change["old"]])
        self.assign(page=first // self.per_page)

    @t.validate("layer")
    def _check_layer(self, proposal: Any) -> str | None:
        name: str | None = proposal["value"]
        if name is not None and self._known is not None and self._known[0] is self.model:
            names = [one.name for one in self._known[1]]
            if name not in names:
                raise unknown_layer(name, names)
        return name
