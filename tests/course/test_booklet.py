import json
from pathlib import Path

import pytest

from pullback_widgets.course import booklet

SOLUTIONS = '''"""What stands over the first mark is no answer."""
# %% 2.1
answer = 3
pw.check("2.1", answer)

# %% 2.1 wrong "count the "kinks""
pw.check("2.1", 4)
# %% 2.10
# a comment of the answer
pw.check("2.10", None)
'''


def exercise(number: str) -> dict[str, object]:
    metadata = {"tags": ["exercise"], "exercise": number}
    return {"cell_type": "code", "metadata": metadata, "source": ["answer = ...\n", "check"]}


def test_answers_are_told_apart_by_their_marks() -> None:
    right, wrong, last = booklet.parse(SOLUTIONS, "02.py")
    assert right == booklet.Answer("2.1", 'answer = 3\npw.check("2.1", answer)')
    assert wrong == booklet.Answer("2.1", 'pw.check("2.1", 4)', wrong='count the "kinks"')
    assert last == booklet.Answer("2.10", '# a comment of the answer\npw.check("2.10", None)')


@pytest.mark.parametrize("mark", ["# %%", "# %% 2", "# %% 2.1 wrong", "# %% 2.1 right"])
def test_a_mark_of_no_known_kind_is_refused_with_its_line(mark: str) -> None:
    with pytest.raises(ValueError, match=r"Line 2 of 02\.py is .*; expected '# %% 2\.1'"):
        booklet.parse(f"\n{mark}\nanswer = 3", "02.py")


def test_exercises_are_found_by_their_number() -> None:
    first, second = exercise("2.1"), exercise("2.2")
    other = {"cell_type": "markdown", "metadata": {}, "source": "text"}
    assert booklet.exercises({"cells": [first, other, second]}) == {"2.1": first, "2.2": second}


def test_an_exercise_needs_a_number_of_its_own() -> None:
    with pytest.raises(ValueError, match=r"number '2\.1'.*no other cell has"):
        booklet.exercises({"cells": [exercise("2.1"), exercise("2.1")]})
    cell = exercise("2.1")
    cell["metadata"] = {"tags": ["exercise"]}
    with pytest.raises(ValueError, match="number None"):
        booklet.exercises({"cells": [cell]})


def test_a_solved_notebook_is_another_one_with_the_right_answers() -> None:
    notebook = {"cells": [exercise("2.1"), exercise("2.2")]}
    before = json.dumps(notebook)
    solved = booklet.solved(notebook, booklet.parse(SOLUTIONS, "02.py"))
    sources = ["".join(cell["source"]) for cell in solved["cells"]]
    assert sources == ['answer = 3\npw.check("2.1", answer)', "answer = ...\ncheck"]
    assert json.dumps(notebook) == before


def test_a_notebook_is_written_as_jupyter_writes_it(tmp_path: Path) -> None:
    nbformat = pytest.importorskip("nbformat")
    cells = [nbformat.v4.new_markdown_cell("Größe $x$\n- two"), nbformat.v4.new_code_cell("1\n2")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "a.ipynb")
    assert booklet.text_of(booklet.read(tmp_path / "a.ipynb")) == (tmp_path / "a.ipynb").read_text(
        "utf-8"
    )


def test_the_notebooks_are_found() -> None:
    assert (booklet.folder() / "explore.ipynb").is_file()


def test_an_installation_without_notebooks_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(booklet, "__file__", str(tmp_path / "package" / "course" / "booklet.py"))
    with pytest.raises(FileNotFoundError, match="pip install --force-reinstall"):
        booklet.folder()
