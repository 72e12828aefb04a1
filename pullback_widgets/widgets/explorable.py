"""Figures on a board of tiles, each of which opens in an Explorer below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ipywidgets as w
import traitlets as t

from .explorer.explorer import Explorer
from .kit.layout import heading
from .kit.network_widget import NetworkFigureWidget
from .kit.tiles import TileBoard


class ExplorableFigure(NetworkFigureWidget):
    """A figure of a network whose tiles open in an Explorer.

    Attributes:
        explorer: The Explorer of the tile that was opened last, or None.
    """

    explorer = t.Any(None, allow_none=True, read_only=True)

    _board: TileBoard
    """What the figure stands on."""

    def footnotes(self) -> Sequence[w.Widget]:
        return [self._board.words, self._board.chooser, *super().footnotes()]

    def annexes(self) -> Sequence[w.Widget]:
        self._below = w.VBox()
        return [self._below]

    def explore(self, **choices: Any) -> Explorer:
        """Open an Explorer under the figure, in the place of the one before.

        Args:
            **choices: Of the Explorer.
        """
        self._close_explorer()
        explorer = Explorer(**choices)
        shut = w.Button(description="Close", icon="times", layout=w.Layout(width="90px"))
        shut.on_click(lambda _: self._close_explorer())
        bar = w.HBox([heading("The chosen tile in the Explorer"), shut])
        bar.layout.justify_content = "space-between"
        bar.layout.max_width = "840px"
        self._below.children = [bar, explorer]
        self.set_trait("explorer", explorer)
        return explorer

    def close(self) -> None:
        self._close_explorer()
        super().close()

    def _close_explorer(self) -> None:
        explorer = self.explorer
        if explorer is not None:
            self.set_trait("explorer", None)
            self._below.children = []
            explorer.close()
