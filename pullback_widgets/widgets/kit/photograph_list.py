"""The photographs that one can choose: samples, uploads, the files of a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import ipywidgets as w
from torch import Tensor

from ...engine.image import SAMPLES
from ...figures.images import FolderFile, image_name, photographs
from .binding import follow, listen, quietly
from .crop import MIDDLE, cropped
from .live import ComputingWidget
from .upload import Upload

OWN = "(your own)"
"""How lists call a photograph or network that has no name there."""


class PhotographList:
    """A list of photographs that shows the widget's ``image`` and sets it.

    Of a photograph that Python gave only the last one is kept, of uploads all are.

    Attributes:
        box: The control.
        part: What of the photograph the network sees, one of ``crop.PARTS``.
        on_show: Called when another photograph or part is shown.
    """

    def __init__(self, widget: ComputingWidget) -> None:
        self.box = w.Dropdown(options=[], description="Photograph")
        self.part = MIDDLE
        self.on_show: Callable[[], None] = lambda: None
        self._widget = widget
        self._uploads: dict[str, Upload] = {}
        self._files: list[str] = []
        self._other: Any = None
        self._made: tuple[Any, str, str] | None = None  # an image, and what it is the part of
        self._at = ""  # what was tried last, even if it was refused
        listen(self.box, lambda key: self._choose(key, self.part))
        follow(widget, "image", self._show)

    def add(self, name: str, content: bytes) -> None:
        """Take an upload and show it.

        Raises:
            ValueError: If it is no photograph.
        """
        key = self._key_of(Upload(name, content))
        new = key not in self._uploads
        self._uploads.setdefault(key, Upload(name, content))
        try:
            self._set(key, self.part)
        except ValueError:
            if new:
                del self._uploads[key]
            raise

    def choose_part(self, part: str) -> None:
        """Show another part of the photograph."""
        self._choose(self.box.value, part)

    def step(self, by: int) -> None:
        """Go to the next photograph of its kind, or to the one before with -1.

        One that is refused is passed by the next step.
        """
        key = self._beside(by)
        if key is not None:
            self._choose(key, self.part)
            self._at = key
            self.on_show()

    def can_step(self, by: int) -> bool:
        """Whether there is one."""
        return self._beside(by) is not None

    @property
    def own(self) -> list[Any]:
        """The uploads and the files of the folder that is open, as ``Session`` takes them."""
        return [*self._uploads.values(), *map(FolderFile, self._files)]

    @property
    def has_parts(self) -> bool:
        """Whether it is a photograph, not a tensor."""
        return not isinstance(self._source(self.box.value), Tensor)

    def _beside(self, by: int) -> str | None:
        for keys in (list(SAMPLES), list(self._uploads), self._files):
            if self._at in keys:
                place = keys.index(self._at) + by
                return keys[place] if 0 <= place < len(keys) else None
        return None

    def _choose(self, key: str, part: str) -> None:
        if not self._widget.guard(lambda: self._set(key, part)):
            with quietly():
                self._show(self._widget.image)

    def _set(self, key: str, part: str) -> None:
        image = self._source(key)
        if part != MIDDLE and not isinstance(image, Tensor):
            image = cropped(image, part, key if key in SAMPLES else image_name(image))
        else:
            part = MIDDLE
        before, self._made = self._made, (image, key, part)
        try:
            self._widget.set_trait("image", image)
        except Exception:
            self._made = before
            raise
        # One of the same pixels is no change; then the image is still the one before.
        self._made = (self._widget.image, key, part)
        with quietly():
            self._show(self._widget.image)

    def _source(self, key: str) -> Any:
        if key in self._files:
            return FolderFile(key)
        return self._uploads.get(key, self._other if key == OWN else key)

    def _show(self, image: Any) -> None:
        if self._made is not None and self._made[0] is image:
            _, key, self.part = self._made
        else:
            key, self.part, self._made = self._known(image), MIDDLE, None
        options = [(name.replace("_", " "), name) for name in SAMPLES]
        options += [(name, name) for name in self._uploads]
        options += [(Path(file).name, file) for file in self._files]
        if self._other is not None:
            options.append((image_name(self._other) or OWN, OWN))
        if self.box.options != tuple(options):
            self.box.options = options
        self.box.value = self._at = key
        self.on_show()

    def _known(self, image: Any) -> str:
        """What the list calls an image, which it has from then on."""
        if isinstance(image, str) and image in SAMPLES:
            return image
        if isinstance(image, FolderFile):
            self._files = [str(file) for file in photographs(Path(image).parent).values()]
            return str(image)
        if isinstance(image, Upload):
            key = self._key_of(image)
            self._uploads.setdefault(key, image)
            return key
        self._other = image
        return OWN

    def _key_of(self, upload: Upload) -> str:
        """The name of an upload, with a number if another one has it."""
        key, number = upload.filename, 1
        while key in SAMPLES or key == OWN or self._uploads.get(key, upload) != upload:
            number += 1
            key = f"{upload.filename} ({number})"
        return key
