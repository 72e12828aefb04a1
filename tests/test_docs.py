"""The texts: they quote what is raised, run as they stand, and link to what is there.

`make docs` checks the rest: names, anchors and links within the site.
"""

from __future__ import annotations

import ast
import gc
import json
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from skimage import data, io

import pullback_widgets as pw
from pullback_widgets.widgets.kit.live import ComputingWidget

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"
PACKAGE = REPOSITORY / "pullback_widgets"
OURS = [
    page
    for page in sorted(DOCS.rglob("*.md"))
    if not {"_build", "notebooks"} & set(page.relative_to(DOCS).parts)
]
TEXTS = [
    *OURS,
    *sorted(REPOSITORY.glob("*.md")),
    *sorted(REPOSITORY.glob("benchmarks/*.md")),
    *sorted(REPOSITORY.glob("notebooks/*.md")),
    *sorted(REPOSITORY.glob("notebooks/*.ipynb")),
]

PUBLIC = [
    *OURS,
    *sorted(DOCS.glob("reference/*.rst")),
    REPOSITORY / "README.md",
    *sorted(REPOSITORY.glob("notebooks/*.md")),
    *sorted(REPOSITORY.glob("notebooks/*.ipynb")),
    *sorted(REPOSITORY.glob("notebooks/solutions/*.py")),
]
"""What readers copy from: here nothing is named that is not public."""

ANYTHING = "…"
"""What stands in a quoted message for a name or a number."""


def named(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))


# Troubleshooting ----------------------------------------------------------------------------------


def in_one_line(text: str) -> str:
    """Without line breaks, and with one … for several that nothing stands between."""
    return re.sub(rf"{ANYTHING}(\s*{ANYTHING})+", ANYTHING, " ".join(text.split()))


def messages() -> set[str]:
    """Every text in the package, … for whatever is filled in."""
    found = set()
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else ANYTHING for p in node.values]
                found.add(in_one_line("".join(map(str, parts))))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(in_one_line(node.value))
    return found


def quoted() -> list[str]:
    page = (DOCS / "troubleshooting.md").read_text("utf-8")
    return re.findall(r"^### `(.*)`$", page, re.MULTILINE)


def test_troubleshooting_quotes_what_is_raised() -> None:
    assert len(quoted()) > 40
    known = messages()
    stale = [quote for quote in quoted() if not any(quote in message for message in known)]
    assert not stale, f"no longer raised in these words: {stale}"


# Examples -----------------------------------------------------------------------------------------


def examples(page: Path) -> list[str]:
    """The page's Python, block by block; a ``{code-block}`` is for the eye only."""
    return re.findall(r"^```python\n(.*?)^```$", page.read_text("utf-8"), re.DOTALL | re.MULTILINE)


def close_widgets() -> None:
    """An example need not keep its widget in a name."""
    for widget in [one for one in gc.get_objects() if issubclass(type(one), ComputingWidget)]:
        if not widget._closed:
            widget.close()


@pytest.mark.parametrize("page", [page for page in OURS if examples(page)], ids=named)
def test_examples_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.chdir(tmp_path)
    request.addfinalizer(lambda: pw.set_device(None))
    request.addfinalizer(close_widgets)
    (tmp_path / "photographs").mkdir()
    for name in ("coffee", "rocket"):
        io.imsave(tmp_path / "photographs" / f"{name}.jpg", getattr(data, name)()[::2, ::2])
    names: dict[str, object] = {"__name__": "example"}
    for number, block in enumerate(examples(page), start=1):
        exec(compile(block, f"{named(page)}, example {number}", "exec"), names)


def sources(notebook: Path) -> str:
    """What stands in the cells of a notebook."""
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells)


def names(text: Path) -> set[str]:
    """The names that a text takes from the package, modules among them.

    References of the site are left out: they may name the class of a result.
    """
    page = sources(text) if text.suffix == ".ipynb" else text.read_text("utf-8")
    page = re.sub(r"(?::\w+:|\{\w+\})`[^`]*`|^\.\. \w+:: .*", "", page, flags=re.MULTILINE)
    found = set(re.findall(r"\b(?:pw|pullback_widgets)\.(\w+)", page))
    for several, one in re.findall(r"\bfrom pullback_widgets import (?:\(([^)]*)\)|(.+))", page):
        found |= {name.split()[0] for name in (several or one).split(",") if name.strip()}
    return found


@pytest.mark.parametrize("text", PUBLIC, ids=named)
def test_names_are_public(text: Path) -> None:
    assert names(text) <= set(pw.__all__), names(text) - set(pw.__all__)


@pytest.mark.parametrize(
    ("code", "inside"),
    [
        ("from pullback_widgets.drawing.pixels import photograph", "drawing"),
        ("import pullback_widgets.teaching.training as training", "teaching"),
        ("from pullback_widgets import Model, drawing as d", "drawing"),
        ("from pullback_widgets import (\n    drawing,\n    Model,\n)", "drawing"),
        ("pw.methods.captum_methods.attribute(1)", "methods"),
        ("See {func}`pullback_widgets.figures.grid.Grid`, then `pw.engine`.", "engine"),
    ],
)
def test_names_that_are_not_public_are_found(tmp_path: Path, code: str, inside: str) -> None:
    text = tmp_path / "text.md"
    text.write_text(code, "utf-8")
    cell = {"cell_type": "code", "source": code.splitlines(keepends=True)}
    notebook = tmp_path / "text.ipynb"
    notebook.write_text(json.dumps({"cells": [cell]}), "utf-8")
    assert names(text) - set(pw.__all__) == names(notebook) - set(pw.__all__) == {inside}


# Links --------------------------------------------------------------------------------------------


def links(text: Path) -> Iterator[str]:
    """What a Markdown file, or the Markdown of a notebook, links to or shows."""
    markdown = text.read_text("utf-8")
    if text.suffix == ".ipynb":
        cells = json.loads(markdown)["cells"]
        markdown = "\n\n".join(
            "".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"
        )
    markdown = re.sub(r"^```(?!\{image\}).*?^```$", "", markdown, flags=re.DOTALL | re.MULTILINE)
    markdown = re.sub(r"`[^`\n]*`", "``", markdown)
    yield from re.findall(r"\]\(<?([^)\s>]+)>?\)", markdown)
    yield from re.findall(r"<(https?:[^>\s]+)>", markdown)
    yield from re.findall(r"^```\{image\} (\S+)$", markdown, re.MULTILINE)
    yield from re.findall(r"""(?:src|href)=["']([^"']+)["']""", markdown)


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub and the site give to headings, and those that are set by hand."""
    text = page.read_text("utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    slugs = {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}
    return slugs | set(re.findall(r"^\((\S+)\)=$", text, re.MULTILINE))


def problem(text: Path, link: str) -> str | None:
    """What is wrong with a link; None if nothing is."""
    parts = urlsplit(link)
    if parts.scheme in ("http", "https"):
        whole = re.fullmatch(r"[\w-]+(\.[\w-]+)+(:\d+)?|localhost(:\d+)?", parts.netloc)
        return None if whole else "no host"
    if parts.scheme == "attachment":
        return None
    if parts.scheme:
        return f"{parts.scheme} is followed by nobody"
    target = (text.parent / unquote(parts.path)) if parts.path else text
    if not target.exists():
        return "not there"
    if not target.resolve().is_relative_to(REPOSITORY):
        return "outside of the repository"
    if parts.fragment and target.suffix == ".md" and parts.fragment not in anchors(target):
        return "no such heading"
    return None


@pytest.mark.parametrize("text", TEXTS, ids=named)
def test_links_lead_somewhere(text: Path) -> None:
    wrong = {link: why for link in links(text) if (why := problem(text, link))}
    assert not wrong


def test_wrong_links_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "REPOSITORY", tmp_path)
    text = tmp_path / "text.md"
    text.write_text(
        "# It is *here*\n[a](nowhere.md) [b](#there) [c](http://) ![d](no.png) [e](#it-is-here)\n"
        "```python\nx = [f](y)\n```\n`[g](h)` <https://example.org/x> [i](..) [j](text.md)\n",
        "utf-8",
    )
    wrong = [link for link in links(text) if problem(text, link)]
    right = [link for link in links(text) if not problem(text, link)]
    assert wrong == ["nowhere.md", "#there", "http://", "no.png", ".."]
    assert right == ["#it-is-here", "text.md", "https://example.org/x"]
