"""Every network of the table: what holds of it, and what the table says.

A run tests forty of them, others each day; ``PULLBACK_WIDGETS_SHARD=3/11`` tests the third of
eleven parts, and ``make support`` all of them.
"""

from __future__ import annotations

import re

import pytest
import timm
import torchvision
from equalities import FAINT, measured, residual
from sample import PARTS, chosen, part_of
from table import PAGE, is_current, made_with, row_of, rows
from zoo import build, names, picture


# The part is in the name of the test, so that a failure says how it comes again.
@pytest.mark.parametrize("name", part_of(names(), chosen()), ids=f"{{}} of part {chosen()}".format)
def test_network(name: str) -> None:
    found = measured(build(name))
    assert found.problems() == []
    assert found.report.gates or found.report.held
    if is_current():
        assert str(row_of(found)) in PAGE.read_text("utf-8").splitlines()


def test_the_residual_sees_what_keeps_its_own_derivative() -> None:
    model = build("timm/test_efficientnet_evos")  # whose norms are written by hand
    assert residual(model, picture(model.size) * FAINT) > 0.01


def test_the_table_has_every_network_once() -> None:
    listed = [row[0] for row in rows()]
    assert len(set(listed)) == len(listed)
    if is_current():
        assert listed == names()
    assert sum(name.startswith("timm/") for name in listed) >= 250
    complete = sum(row[-1] == "yes" for row in rows())
    assert f"the {complete} networks in which nothing keeps" in PAGE.read_text("utf-8")
    readme = (PAGE.parents[1] / "README.md").read_text("utf-8")
    assert f"has the numbers for {len(listed)} networks" in readme


def test_all_of_torchvision_and_every_module_of_timm_are_in_the_table() -> None:
    assert set(torchvision.models.list_models(module=torchvision.models)) <= set(names())
    if timm.__version__ in made_with() and is_current():
        ours = {timm.models.model_entrypoint(name).__module__ for name in timm_names()}
        assert ours >= {timm.models.model_entrypoint(one).__module__ for one in timm.list_models()}


def timm_names() -> list[str]:
    return [name.removeprefix("timm/") for name in names() if name.startswith("timm/")]


def test_the_parts_are_all_networks_and_none_is_large() -> None:
    parts = [part_of(names(), f"{turn}/{PARTS}") for turn in range(1, PARTS + 1)]
    together = [name for part in parts for name in part]
    assert sorted(together) == sorted(names()) == sorted(part_of(names(), "all"))
    assert max(map(len, parts)) <= 40


@pytest.mark.parametrize("wrong", ["", "5", "0/3", "4/3", "a/b"])
def test_a_part_that_does_not_exist(wrong: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"is {wrong!r}; expected 'all'")):
        part_of(names(), wrong)
