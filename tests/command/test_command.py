"""The command line: ``pullback-widgets``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType

import nbformat
import pytest
from nbformat.sign import NotebookNotary
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output

import pullback_widgets as pw
from pullback_widgets.command import command
from pullback_widgets.course import booklet

REPOSITORY = Path(__file__).resolve().parents[2]

Said = pytest.CaptureFixture[str]


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[list[str]]:
    """The command lines that JupyterLab was started with, instead of starting it."""
    lines: list[list[str]] = []
    app = ModuleType("jupyterlab.labapp")
    app.main = lines.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jupyterlab.labapp", app)
    # where the news are switched off, and what is trusted is kept
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "environment"))
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MALLOC_ARENA_MAX", "")  # so that it is put back
    monkeypatch.delenv("MALLOC_ARENA_MAX")
    return lines


def test_students_get_every_notebook_with_its_version(tmp_path: Path, capsys: Said) -> None:
    assert command.main(["course", str(tmp_path / "new" / "folder")]) == 0
    copies = tmp_path / "new" / "folder"
    originals = booklet.folder()
    assert capsys.readouterr().out.count(": written") == len(names(copies))
    assert names(copies) == {path.name for path in originals.glob("*.ipynb")}
    for copy in copies.iterdir():
        notebook = nbformat.read(copy, 4)
        nbformat.validate(notebook)
        assert notebook.metadata.pop("pullback_widgets") == {"version": pw.__version__}
        assert notebook == nbformat.read(originals / copy.name, 4)


def test_copying_again_changes_nothing(tmp_path: Path, capsys: Said) -> None:
    command.main(["course", str(tmp_path)])
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    capsys.readouterr()
    assert command.main(["course", str(tmp_path), "--force"]) == 0
    said = capsys.readouterr().out
    assert said.count("is there already") == len(before) and "written" not in said
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_work_is_kept_and_said_to_be(tmp_path: Path, capsys: Said) -> None:
    work = tmp_path / "explore.ipynb"
    work.write_bytes(b"\xff not even a notebook")
    assert command.main(["course", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert f"{work}: kept as it is" in said and "--force" in said
    assert said.count("written") == len(names(tmp_path)) - 1
    assert work.read_bytes() == b"\xff not even a notebook"


def test_force_puts_work_aside_and_loses_none(tmp_path: Path, capsys: Said) -> None:
    work = tmp_path / "explore.ipynb"
    for version in ("first", "second"):
        work.write_text(version)
        assert command.main(["course", str(tmp_path), "--force"]) == 0
        assert "pullback_widgets" in json.loads(work.read_text("utf-8"))["metadata"]
    assert (tmp_path / "explore.before-1.ipynb").read_text() == "first"
    assert (tmp_path / "explore.before-2.ipynb").read_text() == "second"
    assert "what was there is now explore.before-2.ipynb" in capsys.readouterr().out


def test_the_lecturer_gets_answers_and_students_do_not(tmp_path: Path) -> None:
    command.main(["course", str(tmp_path / "students")])
    command.main(["course", str(tmp_path / "lecturer"), "--solutions"])
    assert names(tmp_path / "lecturer") == names(tmp_path / "students") | {"README.md"}
    answered = 0
    for path in booklet.folder().glob("*.ipynb"):
        right = {one.number: one.code for one in booklet.answers(path) if one.wrong is None}
        asked = booklet.exercises(booklet.read(tmp_path / "students" / path.name))
        solved = booklet.exercises(booklet.read(tmp_path / "lecturer" / path.name))
        assert set(right) == set(asked) == set(solved)
        for number, code in right.items():
            assert "..." in "".join(asked[number]["source"])
            assert "".join(solved[number]["source"]) == code
            answered += 1
    assert answered


@pytest.mark.parametrize("action", ["course", "lab"])
def test_a_file_instead_of_a_folder_is_refused(
    tmp_path: Path, capsys: Said, action: str, started: list[list[str]]
) -> None:
    file = tmp_path / "file"
    file.write_text("text")
    assert command.main([action, str(file)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("pullback-widgets: ") and f"{file} is a file; name a folder" in said
    assert file.read_text() == "text" and not started


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    assert command.main(["course", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert f"{tmp_path} cannot be written (Permission denied); name a folder of your own" in said


def test_what_is_not_known_is_refused(tmp_path: Path, capsys: Said) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["course", str(tmp_path), "--solution"])
    assert "unrecognized arguments: --solution" in capsys.readouterr().err
    assert not names(tmp_path)


def test_an_incomplete_installation_says_so(
    tmp_path: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(booklet, "__file__", str(tmp_path / "package" / "course" / "booklet.py"))
    assert command.main(["course", str(tmp_path / "course")]) == 1
    assert "pip install --force-reinstall" in capsys.readouterr().err


def test_lab_copies_what_is_missing_and_opens_the_first_notebook(
    tmp_path: Path, started: list[list[str]]
) -> None:
    folder = tmp_path / "course"
    folder.mkdir()
    (folder / "explore.ipynb").write_text("work")
    assert command.main(["lab", str(folder)]) == 0
    assert names(folder) == {path.name for path in booklet.folder().glob("*.ipynb")}
    assert (folder / "explore.ipynb").read_text() == "work"
    (line,) = started
    assert f"--ServerApp.root_dir={folder}" in line
    assert "--LabApp.default_url=/lab/tree/01_see.ipynb" in line
    assert "--ServerApp.ip=127.0.0.1" in line
    assert any("websocket_max_message_size" in option for option in line)


def test_kernels_of_lab_share_two_heaps(
    tmp_path: Path, started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    command.main(["lab", str(tmp_path)])
    assert os.environ["MALLOC_ARENA_MAX"] == "2"
    monkeypatch.setenv("MALLOC_ARENA_MAX", "7")
    command.main(["lab", str(tmp_path)])
    assert os.environ["MALLOC_ARENA_MAX"] == "7"


def test_lab_takes_a_folder_of_its_own_where_none_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[list[str]]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["lab", "--port", "8889"]) == 0
    assert f"--ServerApp.root_dir={tmp_path / 'pullback-course'}" in started[0]
    assert started[0][-2:] == ["--port", "8889"]
    assert (tmp_path / "pullback-course" / "01_see.ipynb").is_file()


def test_jupyterlabs_options_count_instead_of_ours(
    tmp_path: Path, started: list[list[str]]
) -> None:
    ours = ["--ServerApp.ip=0.0.0.0", "--no-browser"]
    assert command.main(["lab", str(tmp_path / "a"), "--open", "figures.ipynb", *ours]) == 0
    (line,) = started
    assert line[-2:] == ours
    assert [one for one in line if one.startswith("--ServerApp.ip")] == ours[:1]
    assert line.count("--no-browser") == 1
    assert "--LabApp.default_url=/lab/tree/figures.ipynb" in line


def test_lab_opens_no_notebook_that_is_not_there(
    tmp_path: Path, capsys: Said, started: list[list[str]]
) -> None:
    assert command.main(["lab", str(tmp_path), "--open", "99.ipynb"]) == 1
    said = capsys.readouterr().err
    assert re.search(r"no 99\.ipynb in .*; there are: 01_see\.ipynb, .*explore\.ipynb", said)
    assert not started


def test_lab_leaves_the_originals_as_they_are(started: list[list[str]]) -> None:
    originals = booklet.folder()
    before = {path: path.read_bytes() for path in originals.glob("*") if path.is_file()}
    assert command.main(["lab", str(originals)]) == 0
    assert {path: path.read_bytes() for path in originals.glob("*") if path.is_file()} == before
    assert f"--ServerApp.root_dir={originals}" in started[0]


def test_lab_switches_the_news_off_where_it_can(tmp_path: Path, started: list[list[str]]) -> None:
    assert command.main(["lab", str(tmp_path / "course")]) == 0
    (page,) = (tmp_path / "environment").rglob("page_config.json")
    assert "announcements" in page.read_text()
    page.write_text("{}")
    assert command.main(["lab", str(tmp_path / "course")]) == 0
    assert page.read_text() == "{}"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is a screen")
def test_no_browser_is_opened_without_a_screen(
    tmp_path: Path, started: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    command.main(["lab", str(tmp_path)])
    monkeypatch.setenv("DISPLAY", ":0")
    command.main(["lab", str(tmp_path)])
    assert ["--no-browser" in line for line in started] == [True, False]


def test_lab_trusts_the_course_and_nothing_that_could_act(
    tmp_path: Path, started: list[list[str]]
) -> None:
    folder = tmp_path / "course"
    command.main(["course", str(folder)])
    acting = nbformat.read(folder / "02_one_neuron.ipynb", 4)
    cell = next(cell for cell in acting.cells if cell.cell_type == "code")
    cell.outputs = [new_output("display_data", {"text/html": "<script>0</script>"})]
    nbformat.write(acting, folder / "02_one_neuron.ipynb")
    (folder / "03_soft_gates.ipynb").write_text("no notebook")
    other = nbformat.read(folder / "01_see.ipynb", 4)
    other.cells.append(new_markdown_cell("Mine."))
    nbformat.write(other, folder / "mine.ipynb")
    command.main(["lab", str(folder)])

    notary = NotebookNotary()
    trusted = {
        path.name
        for path in folder.glob("*.ipynb")
        if path.name != "03_soft_gates.ipynb"
        and notary.check_signature(nbformat.read(path, as_version=4))
    }
    ours = {path.name for path in booklet.folder().glob("*.ipynb")}
    assert trusted == ours - {"02_one_neuron.ipynb", "03_soft_gates.ipynb"}


def test_lab_without_jupyterlab_says_what_to_install(
    tmp_path: Path, capsys: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "jupyterlab.labapp", None)
    assert command.main(["lab", str(tmp_path)]) == 1
    assert 'pip install "pullback_widgets[lab]"' in capsys.readouterr().err


def test_help_and_version(capsys: Said) -> None:
    for arguments, words in [
        (["--version"], f"pullback-widgets {pw.__version__}"),
        (["--help"], "pullback-widgets lab"),
        (["course", "--help"], "--solutions"),
        (["lab", "--help"], "JupyterLab's own"),
    ]:
        with pytest.raises(SystemExit, match="0"):
            command.main(arguments)
        assert words in capsys.readouterr().out


def test_copying_loads_neither_torch_nor_jupyter(tmp_path: Path) -> None:
    code = f"""
import sys
from pullback_widgets.command import command
command.main(["course", {str(tmp_path / "course")!r}])
print(*{{name.partition(".")[0] for name in sys.modules}})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert "pullback_widgets" in loaded
    assert not loaded & {"torch", "nbformat", "jupyterlab", "ipywidgets", "IPython", "traitlets"}


def test_a_wheel_has_the_notebooks_and_their_solutions(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=REPOSITORY, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / "site")
    # as installed: the package of the wheel, not this one
    done = subprocess.run(
        [sys.executable, "-m", "pullback_widgets", "course", "course", "--solutions"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "pullback_widgets" / "notebooks" / "01_see.ipynb").is_file()
    package = tmp_path / "site" / "pullback_widgets"
    assert (package / "engine" / "everyday.txt").is_file()
    assert (package / "networks" / "imagenet.txt").is_file()
    command.main(["course", str(tmp_path / "here"), "--solutions"])
    here = {path.name: path.read_bytes() for path in (tmp_path / "here").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "course").iterdir()} == here


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A lecturer's folder with a notebook, a check, its solution and a photograph."""
    folder = tmp_path / "mine"
    for part in ("photos", "solutions", ".ipynb_checkpoints", "__pycache__"):
        (folder / part).mkdir(parents=True)
        (folder / part / "a.jpg").write_bytes(b"\xff\xd8")
    cell = new_code_cell(
        "answer = ...", metadata={"tags": ["exercise"], "exercise": "9.1"}, id="one"
    )
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), folder / "mine.ipynb")
    (folder / "mine_checks.py").write_text("import pullback_widgets as pw\n")
    (folder / "solutions" / "mine.py").write_text("# %% 9.1\nanswer = 3")
    (folder / "README.md").write_text("notes")
    (folder / "hand-in.json").write_text("{}")
    return folder


def test_a_course_of_ones_own_is_copied_with_all_that_it_needs(mine: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    assert command.main(["course", str(copy), "--from", str(mine)]) == 0
    files = {path.relative_to(copy).as_posix() for path in copy.rglob("*") if path.is_file()}
    assert files == {"mine.ipynb", "mine_checks.py", "photos/a.jpg"}
    assert (copy / "photos" / "a.jpg").read_bytes() == b"\xff\xd8"
    assert nbformat.read(copy / "mine.ipynb", 4).cells[0].source == "answer = ..."


def test_a_course_of_ones_own_may_have_solutions(mine: Path, tmp_path: Path) -> None:
    assert command.main(["course", str(tmp_path / "a"), "--from", str(mine), "--solutions"]) == 0
    assert nbformat.read(tmp_path / "a" / "mine.ipynb", 4).cells[0].source == "answer = 3"
    assert (tmp_path / "a" / "README.md").read_text() == "notes"


def test_without_a_folder_the_copy_is_the_course_folder(
    mine: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert command.main(["course", "--from", "mine"]) == 0
    assert (tmp_path / "pullback-course" / "mine.ipynb").is_file()


def test_a_source_that_is_none_is_told(mine: Path, tmp_path: Path, capsys: Said) -> None:
    copy = str(tmp_path / "copy")
    assert command.main(["course", copy, "--from", str(tmp_path / "none")]) == 1
    assert "There is no notebook in" in capsys.readouterr().err
    for inside in (mine, mine / "copy"):
        assert command.main(["course", str(inside), "--from", str(mine), "--force"]) == 1
        assert "name a folder for the copy that is not" in capsys.readouterr().err
    (mine / "broken.ipynb").write_text("{}")
    assert command.main(["course", copy, "--from", str(mine)]) == 1
    assert re.search(r"broken\.ipynb is no notebook that can be copied", capsys.readouterr().err)
    assert not (tmp_path / "copy").exists()
