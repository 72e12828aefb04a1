"""Where photographs and networks come from: the controls that choose them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as w

from ...engine.model import Model
from ...networks.catalogue import entry_label, listed_names
from .binding import follow, listen, quietly
from .live import ComputingWidget
from .photograph_list import OWN, PhotographList
from .upload import Upload


def image_box(widget: ComputingWidget) -> w.Dropdown:
    """The sample photographs, and the user's own; see :class:`PhotographList`."""
    return PhotographList(widget).box


def upload_button(
    widget: ComputingWidget,
    take: Callable[[str, bytes], None] | None = None,
    description: str = "Upload photographs",
) -> w.FileUpload:
    """Takes photographs; a file that is none is refused and what was there stays.

    Args:
        widget: Shows what was refused.
        take: Called with the name and the bytes of each file; by default they become the
            widget's ``image``, one after the other.
        description: What stands on the button.
    """
    button = w.FileUpload(accept="image/*", multiple=True, description=description)
    button.tooltip = button.description  # which the style sheet shows, without ipywidgets' counter
    button.layout.width = "190px"
    button.add_class("pullback-upload")

    def take_all(files: tuple[Any, ...]) -> None:
        refused = []
        for file in files:
            name, content = str(file["name"]), bytes(file["content"])
            try:
                if not content:
                    raise ValueError("the file is empty; choose a photograph (JPEG, PNG, WebP...).")
                if take is None:
                    widget.set_trait("image", Upload(name, content))
                else:
                    take(name, content)
            except ValueError as error:
                refused.append(f"{name}: {error}")
        if refused:  # said last, since what is taken ends what was said before
            raise ValueError(" ".join(refused))

    def uploaded(files: tuple[Any, ...]) -> None:
        widget.guard(lambda: take_all(files))
        with quietly():
            button.value = ()  # so that the same file can be chosen again

    listen(button, uploaded)
    return button


def network_box(widget: ComputingWidget) -> w.Dropdown:
    """The networks of the catalogue, others that are here, and the user's own if there is one."""
    box = w.Dropdown(options=[], description="Network")
    own: list[Model] = []

    def show(model: Model | str) -> None:
        name = model if isinstance(model, str) else model.catalogue_name
        if name is None and isinstance(model, Model):
            own[:] = [model]  # stays in the list when another one is chosen
        names = dict.fromkeys([*listed_names(), *([name] if name else [])])
        options = [(entry_label(one), one) for one in names]
        box.options = options + [(f"{one.name} {OWN}", OWN) for one in own]
        box.value = name or OWN

    listen(box, lambda name: widget.attempt("model", own[0] if name == OWN else name))
    follow(widget, "model", show)
    return box
