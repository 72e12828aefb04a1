"""The command line: ``pullback-widgets course`` copies the notebooks, ``lab`` opens them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..course import booklet
from ..version import __version__
from .server import start_lab, trust

HOME = "pullback-course"
"""The folder where the course lies unless another one is named."""

FIRST = "01_see.ipynb"
"""The notebook that ``lab`` opens unless another one is named."""


class CommandError(Exception):
    """What cannot be done, in one sentence for the command line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says.

    Args:
        arguments: Instead of those of this process.

    Returns:
        The exit status: 0, or 1 if it could not be done.
    """
    parser = _parser()
    given, rest = parser.parse_known_args(arguments)
    try:
        if given.action == "lab":
            # All that follows the folder is JupyterLab's.
            folder = rest.pop(0) if rest and not rest[0].startswith("-") else HOME
            return lab(Path(folder), rest, notebook=given.open)
        if rest:
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        course(given.folder, solutions=given.solutions, force=given.force)
    except (CommandError, FileNotFoundError) as error:
        print(f"pullback-widgets: {error}", file=sys.stderr)
        return 1
    return 0


def course(folder: Path, *, solutions: bool = False, force: bool = False) -> None:
    """Copy the notebooks of the course, and say what was done with each.

    A file that is there and reads differently is kept, so that no answer is lost.

    Args:
        folder: Where to; it is made if it is not there.
        solutions: Whether the exercises are answered, as a lecturer wants them.
        force: Whether to replace what reads differently; the file that was there stays beside it,
            under another name.

    Raises:
        CommandError: If the folder cannot be written.
        FileNotFoundError: If this installation has no notebooks.
    """
    kept = []
    for name, text in copies(solutions).items():
        path = folder / name
        try:
            if not path.exists():
                what = "written"
            elif path.read_bytes() == text.encode():
                what = "is there already"
            elif force:
                what = f"written; what was there is now {_put_aside(path).name}"
            else:
                what = "kept as it is"
                kept.append(name)
            if what.startswith("written"):
                folder.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text.encode())
        except OSError as error:
            raise CommandError(_cannot_write(folder, error)) from error
        print(f"{path}: {what}")
    if kept:
        print(
            f"What was kept reads differently from version {__version__} of the course: someone "
            "worked in it, or it is of another version. Name another folder, or add --force, "
            "which writes the course's own and keeps the other under another name."
        )


def copies(solutions: bool) -> dict[str, str]:
    """The files of the course by name: their texts, with the version that they belong to.

    Args:
        solutions: Whether the exercises are answered; then the lecturer's notes are there too.

    Raises:
        FileNotFoundError: If this installation has no notebooks.
    """
    source = booklet.folder()
    texts = {}
    for path in sorted(source.glob("*.ipynb")):
        notebook = booklet.read(path)
        if solutions:
            notebook = booklet.solved(notebook, booklet.answers(path))
        notebook["metadata"]["pullback_widgets"] = {"version": __version__}
        texts[path.name] = booklet.text_of(notebook)
    if solutions:
        texts["README.md"] = (source / "README.md").read_text("utf-8")
    return texts


def lab(folder: Path, options: Sequence[str] = (), *, notebook: str | None = None) -> int:
    """Open the course in JupyterLab, and copy first what of it is not there.

    Args:
        folder: Of the course.
        options: JupyterLab's own.
        notebook: The one to open, in the folder; without one, the first of the course.

    Returns:
        JupyterLab's exit status.

    Raises:
        CommandError: If there is no JupyterLab, no such notebook, or no writing in the folder.
        FileNotFoundError: If this installation has no notebooks.
    """
    folder = folder.resolve()
    if folder != booklet.folder():
        for name, text in copies(solutions=False).items():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                if not (folder / name).exists():
                    (folder / name).write_bytes(text.encode())
            except OSError as error:
                raise CommandError(_cannot_write(folder, error)) from error
    notebook = notebook or FIRST
    if not (folder / notebook).is_file():
        there = ", ".join(sorted(path.name for path in folder.glob("*.ipynb")))
        raise CommandError(f"There is no {notebook} in {folder}; there are: {there}.")
    trust(folder / path.name for path in booklet.folder().glob("*.ipynb"))
    try:
        return start_lab(folder, notebook, options)
    except ModuleNotFoundError as error:
        raise CommandError(
            f"JupyterLab is not complete here, the module {error.name!r} is missing; install it "
            'with: pip install "pullback_widgets[lab]"'
        ) from error


def _put_aside(path: Path) -> Path:
    """Give a file another name, one that is free."""
    number = 1
    while (aside := path.with_name(f"{path.stem}.before-{number}{path.suffix}")).exists():
        number += 1
    return path.rename(aside)


def _cannot_write(folder: Path, error: OSError) -> str:
    if folder.is_file():
        return f"{folder} is a file; name a folder, or one that is not there yet."
    return (
        f"{folder} cannot be written ({error.strerror or error}); name a folder of your own: "
        "pullback-widgets course FOLDER"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pullback-widgets",
        description="The course on excitation pullbacks: notebooks that explain, show and ask.",
        epilog="To begin: pullback-widgets lab",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    copy = actions.add_parser(
        "course",
        help="copy the notebooks into a folder",
        description="Copies the notebooks that fit this version into a folder. Files that are "
        "there and read differently are kept.",
        allow_abbrev=False,
    )
    copy.add_argument("folder", type=Path, metavar="DIR", help="made if it is not there")
    copy.add_argument(
        "--solutions",
        action="store_true",
        help="the lecturer's copy: exercises answered, and README.md with plans and advice",
    )
    copy.add_argument(
        "--force",
        action="store_true",
        help="replace files that read differently; the old ones stay beside them, renamed",
    )
    start = actions.add_parser(
        "lab",
        usage="%(prog)s [DIR] [--open NOTEBOOK] [OPTION ...]",
        help="open the notebooks in JupyterLab",
        description=f"Copies the notebooks into DIR (./{HOME} unless it is named) if they are not "
        "there, and opens the first one in JupyterLab. Every OPTION is JupyterLab's own and comes "
        "after DIR, such as --port=8889 or --no-browser; 'jupyter lab --help' lists them.",
        allow_abbrev=False,
    )
    start.add_argument("--open", metavar="NOTEBOOK", help=f"instead of {FIRST}")
    return parser
