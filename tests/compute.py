"""The figures step by step, called as their public functions are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pullback_widgets.figures import atlas, comparison, grid, journey, strip


def grid_steps(*arguments: Any, **options: Any) -> Iterator[grid.Grid]:
    return grid.compute(grid.GridRequest(*arguments, **options))


def strip_steps(*arguments: Any, **options: Any) -> Iterator[strip.Strip]:
    return strip.compute(strip.StripRequest(*arguments, **options))


def journey_steps(
    *arguments: Any, earlier: journey.Journey | None = None, **options: Any
) -> Iterator[journey.Journey]:
    return journey.compute(journey.JourneyRequest(*arguments, **options), earlier)


def atlas_steps(
    *arguments: Any, earlier: atlas.Atlas | None = None, first: Any = None, **options: Any
) -> Iterator[atlas.Atlas]:
    how = {} if first is None else {"first": first}
    return atlas.compute(atlas.AtlasRequest(*arguments, **options), earlier, **how)


def comparison_steps(
    models: Any, image: Any, target: Any, columns: Any = None, **options: Any
) -> Iterator[comparison.Comparison]:
    how = {name: options.pop(name) for name in ("last", "load") if name in options}
    request = comparison.ComparisonRequest(models, image, target, **options)
    return comparison.compute(request, columns, **how)
