"""The command line: ``course`` copies notebooks, ``lab`` opens them, ``collect`` reads hand-ins.

``evaluate`` measures methods on a folder.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..course import booklet, record
from ..version import __version__
from . import collect as hand_ins
from . import evaluate as evaluation
from .server import start_lab, trust

HOME = "pullback-course"
"""The folder where the course lies unless another one is named."""

FIRST = "01_see.ipynb"
"""The notebook that ``lab`` opens unless another one is named."""


NOTES = "README.md"
"""The lecturer's notes beside the notebooks, which students do not get."""


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
        if given.action == "evaluate":
            try:
                return evaluation.evaluate(given)
            except (ValueError, TypeError, ImportError, RuntimeError, OSError) as error:
                raise CommandError(str(error)) from error
        if given.action == "collect":
            collect(given.folder, given.csv)
        else:
            options = {"solutions": given.solutions, "force": given.force}
            course(given.folder, given.source, **options)
    except (CommandError, FileNotFoundError) as error:
        print(f"pullback-widgets: {error}", file=sys.stderr)
        return 1
    return 0


def course(
    folder: Path, source: Path | None = None, *, solutions: bool = False, force: bool = False
) -> None:
    """Copy the notebooks of the course, and say what was done with each.

    A file that is there and reads differently is kept, so that no answer is lost.

    Args:
        folder: Where to; it is made if it is not there.
        source: A folder with notebooks of one's own; None for the course's.
        solutions: Whether the exercises are answered, as a lecturer wants them.
        force: Whether to replace what reads differently; the file that was there stays beside it,
            under another name.

    Raises:
        CommandError: If the folder cannot be written, or the source is none.
        FileNotFoundError: If this installation has no notebooks.
    """
    if source is not None and folder.resolve().is_relative_to(source.resolve()):
        raise CommandError(f"{folder} is in {source}; name a folder for the copy that is not.")
    kept = []
    for name, content in copies(solutions, source).items():
        path = folder / name
        try:
            if not path.exists():
                what = "written"
            elif path.read_bytes() == content:
                what = "is there already"
            elif force:
                what = f"written; what was there is now {_put_aside(path).name}"
            else:
                what = "kept as it is"
                kept.append(name)
            if what.startswith("written"):
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
        except OSError as error:
            raise CommandError(_cannot_write(folder, error)) from error
        print(f"{path}: {what}")
    if kept:
        print(
            f"What was kept reads differently from version {__version__} of the course: someone "
            "worked in it, or it is of another version. Name another folder, or add --force, "
            "which writes the course's own and keeps the other under another name."
        )


def copies(solutions: bool, source: Path | None = None) -> dict[str, bytes]:
    """The files of the course by name: their contents, with the version that they belong to.

    Args:
        solutions: Whether the exercises are answered; then the lecturer's notes are there too.
        source: A folder with notebooks of one's own, of which all files are copied: those with
            checks, photographs. ``README.md``, ``solutions/`` and what is hidden are not.

    Raises:
        CommandError: If there is no notebook in the source, or one that cannot be read.
        FileNotFoundError: If this installation has no notebooks.
    """
    folder = source or booklet.folder()
    files = {}
    for path in sorted(folder.glob("*.ipynb") if source is None else _files(source)):
        name = path.relative_to(folder).as_posix()
        files[name] = _notebook(path, solutions) if path.suffix == ".ipynb" else path.read_bytes()
    if not any(name.endswith(".ipynb") for name in files):
        raise CommandError(f"There is no notebook in {folder}; name the folder that has yours.")
    if solutions and (folder / NOTES).is_file():
        files[NOTES] = (folder / NOTES).read_bytes()
    return files


def _files(source: Path) -> Iterator[Path]:
    """What of a lecturer's folder is for students."""
    for path in source.rglob("*"):
        place = path.relative_to(source)
        hidden = any(part.startswith((".", "__")) for part in place.parts)
        kept = place.parts[0] in (NOTES, "solutions") or place.name == record.FILE
        if path.is_file() and not hidden and not kept:
            yield path


def _notebook(path: Path, solutions: bool) -> bytes:
    try:
        notebook = booklet.read(path)
        booklet.exercises(notebook)
        if solutions:
            notebook = booklet.solved(notebook, booklet.answers(path))
        notebook["metadata"]["pullback_widgets"] = {"version": __version__}
        return booklet.text_of(notebook).encode()
    except (ValueError, KeyError, TypeError) as error:
        raise CommandError(f"{path} is no notebook that can be copied: {error}") from error


def collect(folder: Path, csv: Path | None = None) -> None:
    """Make a table of the hand-ins in a folder: on the terminal, and as CSV.

    Files that are none are named and left out.

    Args:
        folder: With the hand-ins, in folders of their own for instance.
        csv: The table's file, ``hand-ins.csv`` in the folder unless it is named. One that is there
            and reads differently stays beside it, under another name.

    Raises:
        CommandError: If there is no hand-in, or the table cannot be written.
    """
    if not folder.is_dir():
        raise CommandError(f"There is no folder {folder}; name the one with the hand-ins.")
    found, skipped = hand_ins.records(folder)
    for name, why in skipped.items():
        print(f"left out: {name} {why}", file=sys.stderr)
    if not found:
        raise CommandError(
            f"There is no hand-in in {folder}; students find {record.FILE} beside their notebooks."
        )
    lines = hand_ins.table(found)
    print(hand_ins.as_text(lines))
    path, content = csv or folder / hand_ins.TABLE, hand_ins.as_csv(lines)
    try:
        if path.exists() and path.read_bytes() != content:
            print(f"{path}: what was there is now {_put_aside(path).name}")
        path.write_bytes(content)
    except OSError as error:
        raise CommandError(
            f"{path} cannot be written ({error.strerror or error}); name another file: --csv FILE"
        ) from error
    print(f"{path}: written, {len(found)} hand-ins")


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
        for name, content in copies(solutions=False).items():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                if not (folder / name).exists():
                    (folder / name).write_bytes(content)
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
    copy.add_argument(
        "folder",
        type=Path,
        metavar="DIR",
        nargs="?",
        default=Path(HOME),
        help=f"made if it is not there; ./{HOME} unless it is named",
    )
    copy.add_argument(
        "--from",
        dest="source",
        type=Path,
        metavar="MINE",
        help="a folder with notebooks and exercises of your own, instead of the course's",
    )
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
    gather = actions.add_parser(
        "collect",
        help="make a table of the students' hand-ins",
        description="Reads every hand-in in a folder and the folders in it, and makes a table: who "
        "has done what. Files that are none are named and left out.",
        allow_abbrev=False,
    )
    gather.add_argument("folder", type=Path, metavar="DIR", help="with the hand-ins")
    gather.add_argument(
        "--csv", type=Path, metavar="FILE", help=f"the table; DIR/{hand_ins.TABLE} unless named"
    )
    evaluation.add_parser(actions)
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
