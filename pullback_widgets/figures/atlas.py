"""The layer atlas: every channel of a layer as a small pullback, on the image that excites it most.

Nothing grows with the number of images, and with the number of channels only the thumbnails. What
is there is enough to go on from, so a long computation may be stopped, or die.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..checks import is_whole
from ..drawing import expression, files, words
from ..drawing.paper import new_figure, note, without_axes
from ..drawing.pixels import RGB
from ..engine.dependence import tell_independent
from ..engine.image import SAMPLES, ImageError, one_size
from ..engine.layer import Layer
from ..engine.memory import halving
from ..engine.model import Model
from ..engine.recording import Recording
from ..engine.report import is_known, tell
from ..engine.session import Session
from ..engine.softening import Softening
from ..engine.target import LOGITS, Channel
from . import folder as folders
from . import thumbnail
from .declared import Request, computed, viewed
from .images import is_folder, photographs
from .kinds import Folder, OneOf, Whole, Words
from .network_kinds import DEFAULT, Channels, Images, Network, Softened
from .provenance import provenance
from .result import Progress, Result, completed, default_batch, entitle

if TYPE_CHECKING:
    from matplotlib.figure import Figure

By = Literal["activation", "channel"]
Shown = Literal["pullback", "photograph"]

PAIRS = "photograph and pullback"
TILES: dict[str, tuple[Shown, ...]] = {
    PAIRS: ("photograph", "pullback"),
    "pullback": ("pullback",),
    "photograph": ("photograph",),
}
"""What a widget shows of a channel, by how it is called: a tile each."""

EVERY_SAMPLE = tuple(SAMPLES)
"""What an atlas looks at where nothing else is given."""

COLUMNS, ROWS = 8, 5
PER_PAGE = COLUMNS * ROWS
"""Channels on a page."""

OF_THUMBNAILS = ("channels", "softening", "side", "batch_size")
"""The settings that the strongest examples do not depend on."""


@dataclass(frozen=True, eq=False)
class AtlasRequest(Request):
    """What a layer atlas is asked for; see ``pw.layer_atlas``.

    Attributes:
        by: The order: ``"activation"``, the strongest first, or ``"channel"``.
        search: Which channels; see ``Atlas.find``.
        shown: What a widget shows of each channel, a key of ``TILES``.
        page: From 0 up.
    """

    FUNCTION = "layer_atlas"
    WIDGET = "LayerAtlas"
    VARIABLE = "atlas"
    FINALLY = "atlas.figure()"

    model: Model = field(metadata=computed(Network()))
    layer: str | None = field(default=None, metadata=computed(Words(optional=True)))
    images: Any = field(default=EVERY_SAMPLE, metadata=computed(Images()))
    _: KW_ONLY
    channels: Any = field(default=None, metadata=computed(Channels(optional=True)))
    softening: Softening = field(default=DEFAULT, metadata=computed(Softened()))
    side: int = field(default=96, metadata=computed(Whole(1)))
    batch_size: int | None = field(default=None, metadata=computed(Whole(1, optional=True)))
    folder: Path | None = field(default=None, metadata=computed(Folder(optional=True)))
    by: By = field(default="activation", metadata=viewed(OneOf(get_args(By))))
    search: str = field(default="", metadata=viewed(Words()))
    shown: str = field(default=PAIRS, metadata=viewed(OneOf(list(TILES))))
    page: int = field(default=0, metadata=viewed(Whole(0)))


@dataclass(eq=False, repr=False)
class Atlas(Result):
    """C channels of a layer, and for each the image that excites it most.

    What is not computed yet is zero. With a folder the arrays are files in it, mapped into memory.

    Attributes:
        request: What was asked for; ``model`` and ``softening`` read as attributes of the atlas,
            and ``page``, ``by`` and ``search``, which say what :meth:`figure` shows where it is
            not told, can be set.
        layer: The layer, with its shape (channels first).
        sources: I images by name.
        made_with: What ``settings`` returns.
        channels: The C channels, ascending or as they were asked for.
        box: Side of the square that the thumbnails show, in pixels of the image.
        folder: Where the arrays are; None for the memory.
        activation: Each channel's activation on its image: mean positive value, (C,), 0 or more.
        example: Index of each channel's strongest image, (C,); -1 before the first.
        corner: Top and left of the box in the image, (C, 2).
        pullbacks: Thumbnails of the pullbacks, (C, side, side, 3) bytes, each at full contrast.
        patches: The photograph at the same place, (C, side, side, 3) bytes.
        done: Whether the thumbnails are there, (C,).
        seen: How many images have been looked at for the strongest examples.
        skipped: Files of an image folder that could not be read, and why.
    """

    request: AtlasRequest
    layer: Layer
    sources: dict[str, Any]
    made_with: dict[str, Any] = field(repr=False)
    channels: NDArray[np.int64] = field(repr=False)
    box: int
    folder: Path | None = None
    activation: NDArray[np.float64] = field(init=False, repr=False)
    example: NDArray[np.int64] = field(init=False, repr=False)
    corner: NDArray[np.int64] = field(init=False, repr=False)
    pullbacks: RGB = field(init=False, repr=False)
    patches: RGB = field(init=False, repr=False)
    done: NDArray[np.bool_] = field(init=False, repr=False)
    seen: int = field(init=False, default=0)
    skipped: dict[str, str] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        count, side = len(self.channels), self.made_with["side"]
        shapes: dict[str, tuple[Any, tuple[int, ...]]] = {
            "activation": (np.float64, (count,)),
            "example": (np.int64, (count,)),
            "corner": (np.int64, (count, 2)),
            "pullbacks": (np.uint8, (count, side, side, 3)),
            "patches": (np.uint8, (count, side, side, 3)),
            "done": (np.bool_, (count,)),
        }
        arrays, state = folders.arrays(self.folder, shapes)
        for name, values in arrays.items():
            setattr(self, name, values)
        self._go_on(state)
        if self.seen == 0:
            self.example[:] = -1
        self.count()

    def _go_on(self, state: Mapping[str, Any]) -> None:
        """Take what a folder's state says, if it can be true; else begin anew."""
        seen, skipped = state.get("seen"), state.get("skipped")
        images = len(self.sources)
        told = isinstance(skipped, dict) and all(
            name in self.sources and isinstance(why, str) for name, why in skipped.items()
        )
        known = ((self.example >= -1) & (self.example < images)).all()
        if is_whole(seen) and 0 <= seen <= images and told and known:
            self.seen, self.skipped = seen, dict(skipped or {})
        else:
            for values in self.arrays().values():
                if values is not self.channels:
                    values[:] = 0

    def take_over(self, earlier: Atlas) -> None:
        """Take the strongest examples from an atlas of the same network, layer and images."""
        if np.array_equal(self.channels, earlier.channels) and not self.seen:
            self.activation[:], self.example[:] = earlier.activation, earlier.example
            self.seen, self.skipped = earlier.seen, dict(earlier.skipped)
            self.count()

    def count(self) -> None:
        """Bring the progress up to date: an image or a channel is a step."""
        steps = self.seen + int(self.done.sum())
        self.progress = steps / (len(self.sources) + len(self.channels))

    @property
    def source(self) -> Any:
        """The images as they were given."""
        return self.request.images

    @property
    def names(self) -> list[str]:
        """I names of the images."""
        return list(self.sources)

    @property
    def surveyed(self) -> bool:
        """Whether all strongest examples are known."""
        return self.seen == len(self.sources)

    def row(self, channel: int) -> int:
        """Where a channel stands in the arrays.

        Raises:
            ValueError: If it is not in the atlas.
        """
        rows = (self.channels == channel).nonzero()[0]
        if not len(rows):
            raise ValueError(
                f"Channel {channel} of {self.layer.name!r} is not in this atlas; it has "
                f"{len(self.channels)}, from {self.channels.min()} to {self.channels.max()}."
            )
        return int(rows[0])

    def order(self, by: By = "activation") -> list[int]:
        """The channels, strongest first or by number.

        Raises:
            ValueError: For another word.
        """
        if by not in ("activation", "channel"):
            raise ValueError(f'by is {by!r}; expected "activation" or "channel".')
        keys = (self.channels,) if by == "channel" else (self.channels, -self.activation)
        ordered: list[int] = self.channels[np.lexsort(keys)].tolist()
        return ordered

    def find(self, text: str, by: By = "activation") -> list[int]:
        """The channels that a search finds, in the order of :meth:`order`.

        Args:
            text: A channel such as ``12``, a range such as ``0-63``, or a part of the name of the
                image that is a channel's strongest example; nothing finds all.
            by: The order.
        """
        text, channels = text.strip(), self.order(by)
        if not text:
            return channels
        numbers = re.fullmatch(r"(\d+)\s*(?:-\s*(\d+))?", text)
        if numbers:
            low, high = int(numbers[1]), int(numbers[2] or numbers[1])
            return [channel for channel in channels if low <= channel <= high]
        wanted = [n for n, name in enumerate(self.names) if text.casefold() in name.casefold()]
        fits = set(self.channels[np.isin(self.example, wanted)].tolist())
        return [channel for channel in channels if channel in fits]

    def name(self, channel: int) -> str:
        """The name of the image that excites a channel most; empty if none was looked at."""
        index = int(self.example[self.row(channel)])
        return self.names[index] if index >= 0 else ""

    def picture(self, channel: int, shown: Shown = "pullback") -> RGB:
        """A thumbnail as (side, side, 3) bytes."""
        return (self.pullbacks if shown == "pullback" else self.patches)[self.row(channel)]

    def label(self, channel: int) -> str:
        """A channel and its activation, as ``#12  0.83``."""
        return f"#{channel}  {self.activation[self.row(channel)]:.3g}"

    def arrays(self) -> dict[str, NDArray[Any]]:
        names = "channels activation example corner pullbacks patches done"
        return {name: getattr(self, name) for name in names.split()}

    def settings(self) -> dict[str, Any]:
        return {**self.made_with, "skipped": self.skipped}

    def summary(self) -> str:
        channels = words.counted(len(self.channels), "channel")
        images = words.counted(len(self.sources), "image")
        how = self.how(self.softening)
        return f"{channels} of {self.layer.name}, {self.model.name} on {images}, {how}"

    def figure(
        self, page: int | None = None, by: By | None = None, search: str | None = None
    ) -> Figure:
        """A contact sheet for print: photograph and pullback of each channel, side by side.

        Args:
            page: From 0 up, ``PER_PAGE`` channels each.
            by: The order, see :meth:`order`.
            search: Which channels, see :meth:`find`.

        Raises:
            ValueError: If there is no such page.
        """
        page = self.page if page is None else page
        by = self.by if by is None else by
        search = self.search if search is None else search
        found = self.find(search, by)
        pages = max(1, math.ceil(len(found) / PER_PAGE))
        if not 0 <= page < pages:
            raise ValueError(f"page is {page}; there are pages 0 to {pages - 1}.")
        shown = found[page * PER_PAGE :][:PER_PAGE]
        rows = max(1, math.ceil(len(shown) / ROWS))
        figure = new_figure(figsize=(7.6, 0.88 * rows + 0.7), dpi=100, layout="constrained")
        axes = figure.subplots(rows, ROWS, squeeze=False)
        for cell in axes.flat:
            without_axes(cell)
            cell.patch.set_visible(False)
        for cell, channel in zip(axes.flat, shown, strict=False):
            row = self.row(channel)
            if self.done[row]:
                gap = np.full((len(self.patches[row]), 3, 3), 255, np.uint8)
                pair = np.concatenate([self.patches[row], gap, self.pullbacks[row]], axis=1)
                cell.imshow(pair, interpolation="nearest")
            else:
                note(cell, "not computed")
            cell.set_title(self.label(channel), fontsize=6, pad=2)
        how = self.how(self.softening)
        looked_at = self.seen - len(self.skipped)
        many = f", strongest of {looked_at} images" if looked_at > 1 else ""
        order = "strongest first" if by == "activation" else "by number"
        what = "photograph and pullback of each channel"
        title = (
            f"{self.model.name}, {self.layer.name} ({self.layer.size}): {what}{many}\n"
            f"{order}, with the mean activation; boxes of {self.box} px; {how}; "
            f"page {page + 1} of {pages}"
        )
        entitle(figure, title, self, size=7.5)
        return figure

    def save(self, path: str | Path) -> Path:
        """Write it to a file, as every figure; a PDF has all pages of what is searched for."""
        path = files.checked_path(path, self.ENDINGS)
        if path.suffix != ".pdf":
            return super().save(path)
        pages = max(1, math.ceil(len(self.find(self.search, self.by)) / PER_PAGE))
        return files.save_figure(path, *map(self.figure, range(pages)))

    @property
    def asked(self) -> AtlasRequest:
        every = len(self.channels) == self.layer.shape[0]
        return dataclasses.replace(
            self.request,
            layer=self.layer.name,
            channels=None if every else self.channels.tolist(),
            batch_size=self.made_with["batch_size"],
            folder=self.folder,
        )

    def code(self) -> str:
        asked = {"page": self.page, "by": self.by, "search": self.search}
        plain = {"page": 0, "by": "activation", "search": ""}
        sheet = ", ".join(f"{key}={one!r}" for key, one in asked.items() if one != plain[key])
        return self.asked.code(f"atlas.figure({sheet})")


def layer_atlas(
    model: Model | nn.Module,
    layer: str | None = None,
    images: Any = EVERY_SAMPLE,
    *,
    channels: Sequence[int] | None = None,
    softening: Softening | None = None,
    side: int = 96,
    batch_size: int | None = None,
    folder: str | Path | None = None,
    progress: Progress | None = None,
) -> Atlas:
    """Pull every channel of a layer back, each on the image that excites it most.

    A first pass over the images finds each channel's strongest example, by the mean of its
    positive values. A second one pulls back the channel's maximum over positions there.

    Thumbnails show a square box of the image, equally large for all channels of the layer. Its
    side is that of the smallest box with 95 % of the energy of the pullback of a unit in the
    middle of the layer, all gates half open; above three quarters of the image, the whole (of an
    oblong image the largest square). Each box lies where it holds most of its pullback's energy.

    Args:
        model: A ``Model``, or a bare module with ImageNet preprocessing at 224 px.
        layer: Dotted layer name, see ``pw.layers``; None for one half way through the
            network.
        images: What ``Session`` takes, a list or a mapping of such, or a folder, whose unreadable
            files are skipped. All of one size. By default all sample photographs.
        channels: Some channels; None for all.
        softening: ``Softening.relative(0.85)`` by default.
        side: Of the thumbnails, in pixels.
        batch_size: Images, and then channels, computed at once; by default 4 on a CPU, 32
            elsewhere. Half as many from where memory runs out.
        folder: An empty or new folder that keeps everything on disk, or one that an earlier call
            with the same arguments has begun; then it goes on there.
        progress: Called with the share that is done, 0 to 1.

    Returns:
        The atlas.

    Raises:
        ImageError: If an image that is not one of a folder cannot be read, or none at all.
        ValueError: For unknown layers or channels, numbers out of range, images of several sizes,
            or a folder with other settings.
    """
    request = AtlasRequest(
        Model.of(model),
        layer,
        images,
        channels=channels,
        softening=Softening.checked(softening),
        side=side,
        batch_size=batch_size,
        folder=folder,  # type: ignore[arg-type]  # which is made a path
    )
    return completed(compute(request), progress)


def compute(
    request: AtlasRequest,
    earlier: Atlas | None = None,
    first: Callable[[Atlas], Sequence[int]] = lambda atlas: (),
) -> Iterator[Atlas]:
    """The atlas after each batch.

    Before each batch ``first`` is asked for the channels that are wanted most. What an ``earlier``
    atlas of the same objects knows is not computed again: where all settings are the same it goes
    on, otherwise its strongest examples are taken over.
    """
    model, images, softening = request.model, request.images, request.softening
    name = request.layer or middle_layer(model)
    if earlier is not None and _same_survey(earlier, model, name, images):
        sources, layer, box = earlier.sources, earlier.layer, earlier.box
        of_survey = {
            name: value for name, value in earlier.made_with.items() if name not in OF_THUMBNAILS
        }
    else:
        earlier, sources = None, photographs(images)
        digest, size = _examined(sources, model, in_folder=is_folder(images))
        if not softening.is_hard and not is_known(model.module):
            tell(Recording(model, model.blank(*size)), softening)
        layer, box = thumbnail.layer_and_box(model, name, size)
        of_survey = {
            **provenance(model),
            "layer": layer.name,
            "image_size": list(size),
            "box": box,
            "images": list(sources),
            "images_hash": digest,
        }
    chosen = _checked_channels(request.channels, layer)
    made_with = {
        **of_survey,
        "channels": chosen.tolist(),
        "softening": expression.of_softening(softening),
        "side": request.side,
        "batch_size": request.batch_size or default_batch(model),
    }
    folder = request.folder
    place = None if folder is None else folders.opened(folder.expanduser(), made_with)
    if earlier is not None and earlier.folder == place and earlier.made_with == made_with:
        earlier.request = request
        return _fill(earlier, first)
    atlas = Atlas(request, layer, sources, made_with, chosen, box, place)
    if earlier is not None:
        atlas.take_over(earlier)
    return _fill(atlas, first)


def middle_layer(model: Model) -> str:
    """The layer that an atlas shows where none is named: half way through the network.

    Of the last layers of each resolution that enter a rectifier, the middle one.
    """
    stages = Session(model, model.blank()).stages()
    stages = [one for one in stages if one != LOGITS]
    if not stages:
        raise ValueError(f"{model.name} has no layer with positions; name a layer.")
    return stages[len(stages) // 2]


def _same_survey(earlier: Atlas, model: Model, layer: str, images: Any) -> bool:
    return earlier.model is model and earlier.source is images and earlier.layer.name == layer


def _examined(
    sources: dict[str, Any], model: Model, *, in_folder: bool
) -> tuple[str, tuple[int, int]]:
    """A hash that tells images from others of the same names, and their height and width.

    Files of a folder, which may be many, are told apart by their length alone.
    """
    digest = hashlib.sha256()
    sizes = {(model.size, model.size)} if in_folder else set()
    for name, source in sources.items():
        if in_folder:
            digest.update(f"{name} {Path(source).stat().st_size}".encode())
            continue
        pixels = model.image(source)
        sizes.add((pixels.shape[1], pixels.shape[2]))
        digest.update(f"{name} {pixels.dtype}".encode() + pixels.cpu().double().numpy().tobytes())
    return digest.hexdigest(), one_size(sizes)


def _checked_channels(channels: Sequence[int] | None, layer: Layer) -> NDArray[np.int64]:
    count = layer.shape[0]
    if channels is None:
        return np.arange(count)
    chosen = [int(channel) for channel in channels]
    wrong = [channel for channel in chosen if not 0 <= channel < count]
    if wrong or not chosen or len(set(chosen)) < len(chosen):
        given = wrong[0] if wrong else "given twice" if chosen else "missing"
        raise ValueError(
            f"A channel is {given}; choose different ones from 0 to {count - 1} of layer "
            f"{layer.name!r}, or None for all."
        )
    return np.array(chosen, np.int64)


def _fill(atlas: Atlas, first: Callable[[Atlas], Sequence[int]]) -> Iterator[Atlas]:
    yield atlas
    size = atlas.made_with["batch_size"]
    yield from halving(lambda size: _survey(atlas, size), size)
    yield from halving(lambda size: _pull(atlas, first, size), size)


def _survey(atlas: Atlas, size: int) -> Iterator[Atlas]:
    """Find each channel's strongest image, one batch of images in memory at a time."""
    name = atlas.layer.name
    while not atlas.surveyed:
        indices, pixels = _readable(atlas, range(atlas.seen, len(atlas.names))[:size])
        if indices:
            # The last images may be fewer than a batch holds; then one stands in it again, so that
            # rounding is the same everywhere.
            batch = torch.stack(pixels + pixels[-1:] * (size - len(pixels)))
            recording = Recording(atlas.model, batch, until={name}, grad=False)
            positive = recording.value(name)[:, atlas.channels].clamp_min(0)
            strength = positive.reshape(*positive.shape[:2], -1).mean(2).double().cpu().numpy()
            for index, values in zip(indices, strength, strict=False):
                _check_finite(values, atlas, index)
                better = (values > atlas.activation) | (atlas.example < 0)
                # In this order: cut short in between, it is done again when the atlas goes on.
                atlas.example[better] = index
                atlas.activation[better] = values[better]
        atlas.seen = min(atlas.seen + size, len(atlas.names))
        if len(atlas.skipped) == len(atlas.names):
            raise ImageError(
                f"No image can be read; the first: {next(iter(atlas.skipped.values()))}"
            )
        _keep(atlas)
        yield atlas


def _readable(atlas: Atlas, indices: Sequence[int]) -> tuple[list[int], list[Tensor]]:
    """Which of some images can be read, and their pixels; of a folder, others are skipped."""
    good, pixels = [], []
    for index in indices:
        try:
            pixels.append(_pixels(atlas, index))
            good.append(index)
        except ImageError as error:
            if not is_folder(atlas.source):
                raise
            atlas.skipped[atlas.names[index]] = str(error)
    return good, pixels


def _pixels(atlas: Atlas, index: int) -> Tensor:
    return atlas.model.image(atlas.sources[atlas.names[index]])


def _pull(atlas: Atlas, first: Callable[[Atlas], Sequence[int]], size: int) -> Iterator[Atlas]:
    """Pull the channels back in batches of one size, those of one image together."""
    name = atlas.layer.name
    recording: Recording | None = None
    recorded: list[int] = []
    pixels: dict[int, Tensor] = {}
    while not atlas.done.all():
        rows = _next_rows(atlas, first(atlas), size)
        # The last channels may be fewer than the batch holds; then one stands in it again, so
        # that the numbers are those of every other batch.
        filled = rows + rows[-1:] * (size - len(rows))
        examples = atlas.example[filled].tolist()
        if recording is None or examples != recorded:
            recording = None  # so that there are never two
            pixels = {n: pixels[n] if n in pixels else _pixels(atlas, n) for n in set(examples)}
            batch = torch.stack([pixels[n] for n in examples])
            recording, recorded = Recording(atlas.model, batch, until={name}), examples
        targets = [Channel(name, int(atlas.channels[row]), reduce="max") for row in filled]
        pulled = recording.pull(targets, atlas.softening).cpu()
        tell_independent(recording, targets, pulled)
        for n, row in enumerate(rows):
            _check_finite(pulled[n].numpy(), atlas, examples[n])
            _put(atlas, row, pulled[n], pixels[examples[n]])
        _keep(atlas, rows)
        yield atlas


def _next_rows(atlas: Atlas, first: Sequence[int], size: int) -> list[int]:
    """Up to ``size`` rows that are missing: of the channels wanted first, then of all others.

    Those of one image follow each other, so that its forward pass serves many channels.
    """
    wanted = set(first)
    missing = (~atlas.done).nonzero()[0].tolist()
    missing.sort(
        key=lambda row: (int(atlas.channels[row]) not in wanted, int(atlas.example[row]), row)
    )
    return missing[:size]


def _put(atlas: Atlas, row: int, pulled: Tensor, image: Tensor) -> None:
    """Make the thumbnails of a pullback and of the image at the same place."""
    corner, *pictures = thumbnail.cut(pulled, image, atlas.box, atlas.made_with["side"])
    atlas.corner[row] = corner
    atlas.pullbacks[row], atlas.patches[row] = pictures


def _check_finite(values: NDArray[Any], atlas: Atlas, image: int) -> None:
    if not np.isfinite(values).all():
        raise ValueError(
            f"Layer {atlas.layer.name!r} has NaN or infinite values, or a gradient that does, on "
            f"{atlas.names[image]!r}; try another image, or a layer nearer to the input."
        )


def _keep(atlas: Atlas, rows: Sequence[int] = ()) -> None:
    """Note what is there; in a folder, only once it is written."""
    if atlas.folder is not None:
        state = {"seen": atlas.seen, "skipped": atlas.skipped}
        folders.keep(atlas.folder, atlas.arrays(), state)
    atlas.done[list(rows)] = True
    atlas.count()
