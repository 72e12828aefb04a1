"""Sphinx's settings: ``make docs`` builds the site into ``docs/_build/html``."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.domains.python import PyObject
from sphinx.util.inspect import signature, stringify_signature
from sphinx.util.logging import getLogger
from traitlets import HasTraits

import pullback_widgets as pw

if TYPE_CHECKING:
    from sphinx.application import Sphinx
    from sphinx.environment import BuildEnvironment

DOCS = Path(__file__).resolve().parent
NOTEBOOKS = DOCS.parent / "notebooks"
COPY = DOCS / "notebooks"

project = "pullback_widgets"
author = "pullback_widgets contributors"
copyright = f"{author}, BSD-3-Clause"  # noqa: A001  # Sphinx's name for it
version = release = pw.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax", "myst_nb"]
exclude_patterns = ["_build"]
root_doc = "index"

html_theme = "furo"
html_title = f"pullback_widgets {version}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

# Markdown and notebooks. Nothing is executed: `make notebooks` does that.
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"
nb_merge_streams = True

# Docstrings.
add_module_names = False
autoclass_content = "both"
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
# Imported for type checkers only, where these names would stay unresolved.
autodoc_type_aliases = {"Figure": "matplotlib.figure.Figure", "Axes": "matplotlib.axes.Axes"}
python_maximum_signature_line_length = 110
python_use_unqualified_type_names = True

# Every name must lead somewhere, but for those of packages whose own sites these are.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(collections|matplotlib|nn|numpy|pathlib|torch|typing)\..*|Path"),
]


def copy_notebooks() -> None:
    """Copies, because the notebooks belong to the course and Sphinx reads only what lies here."""
    left_out = shutil.ignore_patterns(".*", "__pycache__", "solutions", "explore.ipynb")
    shutil.rmtree(COPY, ignore_errors=True)
    shutil.copytree(NOTEBOOKS, COPY, ignore=left_out)
    for file in [*COPY.glob("*.ipynb"), *COPY.glob("*.md")]:
        text = file.read_text("utf-8")
        file.write_text(re.sub(r"\[([^\[\]]*)\]\(([^()\s]+)\)", link_in_site, text), "utf-8")


def link_in_site(link: re.Match[str]) -> str:
    """A notebook's link as it has to be here; only words for what the site has not."""
    words, target = link[1], link[2].partition("#")[0]
    if not target:  # another place of the same page
        return link[0]
    if target.startswith("../docs/"):
        return link[0].replace("../docs/", "../", 1)
    elsewhere = not (COPY / target).is_file() and (NOTEBOOKS / target).exists()
    return words if elsewhere else link[0]  # if it is nowhere, Sphinx will complain of it


def all_public_names(app: Sphinx, environment: BuildEnvironment) -> None:
    """Complain of every public name that no page of the reference describes."""
    described = environment.domains.python_domain.objects
    for name in pw.__all__:
        if name != "__version__" and f"{pw.__name__}.{name}" not in described:
            getLogger(__name__).warning(
                "%s.%s is public, and no page of docs/reference describes it", pw.__name__, name
            )


def signature_of_widget(
    app: Sphinx, kind: str, name: str, value: Any, options: Any, arguments: str, returns: str
) -> tuple[str, str] | None:
    """What a widget's own ``__init__`` takes, which traitlets' ``__new__`` hides from Sphinx."""
    if kind != "class" or arguments == "()" or not issubclass(value, HasTraits):
        return None
    own = signature(value.__init__, bound_method=True)
    return stringify_signature(own, show_return_annotation=False, unqualified_typehints=True), ""


def setup(app: Sphinx) -> None:
    """Connect what this file adds to Sphinx."""
    copy_notebooks()
    for field in PyObject.doc_field_types:
        if field.name == "variable":
            field.label = "Attributes"  # as the docstrings call them; Sphinx says "Variables"
    app.connect("autodoc-process-signature", signature_of_widget)
    app.connect("env-check-consistency", all_public_names)
