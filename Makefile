# `make lab` and `make test` are all that a user needs; `make` lists the rest.
# ARGS goes to the program behind the target:  make test ARGS="-k softening"

PYTHON ?= python3
ARGS ?=
VENV := .venv
RUN := $(VENV)/bin/python

# Someone's PIP_USER or missing pip upgrade must not reach into the environment.
export PIP_USER = 0
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help lab voila test support lint format types notebooks notebooks-small docs links clean

help:
	@echo "make lab              environment, package, JupyterLab on notebooks/explore.ipynb"
	@echo "make voila            environment, package, notebook 1 as a web page without code"
	@echo "make test             environment, package, a Chromium if none is there, all tests"
	@echo "make support          the tests of every network of docs/support.md; 'make test' has forty"
	@echo "make lint             formatting, lint, and how notebooks are stored"
	@echo "make format           formats, and mends what lint can mend"
	@echo "make types            type check"
	@echo "make notebooks        runs every notebook top to bottom, then its solutions"
	@echo "make notebooks-small  the same on one core with 2 GB, and a table"
	@echo "make docs             the site, into docs/_build/html; a warning is an error"
	@echo "make links            whether the links of the site to other sites work"
	@echo "make clean            removes the environment and everything generated"

lab: $(VENV)/installed-lab
	@exec $(RUN) -m pullback_widgets lab notebooks --open explore.ipynb $(ARGS)

voila: $(VENV)/installed-lab
	@exec $(RUN) .ci/serve.py $(ARGS)

test: $(VENV)/installed-test
	@$(RUN) tests/browser/chromium.py
ifeq ($(strip $(ARGS)),)
	@failed=0; \
	$(RUN) -m pytest -n 2 --dist worksteal -m "not browser" || failed=$$?; \
	$(RUN) -m pytest -n 2 --dist loadfile -m browser || failed=$$?; \
	exit $$failed
else
	$(RUN) -m pytest $(ARGS)
endif

support: $(VENV)/installed-test
	PULLBACK_WIDGETS_SHARD=all $(RUN) -m pytest -n 2 --dist worksteal tests/support $(ARGS)

lint: $(VENV)/installed-dev
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(VENV)/bin/lint-imports
	$(RUN) .ci/notebooks.py --check

format: $(VENV)/installed-dev
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

types: $(VENV)/installed-dev
	$(RUN) -m mypy

notebooks: $(VENV)/installed-test
	$(RUN) .ci/notebooks.py $(ARGS)

notebooks-small: $(VENV)/installed-test
	$(RUN) .ci/notebooks.py --limits $(ARGS)

docs: $(VENV)/installed-docs
	$(RUN) -m sphinx -E -n -W --keep-going -q $(ARGS) docs docs/_build/html
	@echo "docs/_build/html/index.html"

links: $(VENV)/installed-docs
	$(RUN) -m sphinx -q -b linkcheck $(ARGS) docs docs/_build/links

clean:
	rm -rf $(VENV) docs/_build docs/notebooks dist test-results .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One empty file per set of dependencies: newer than pyproject.toml means nothing to do.
$(VENV)/installed-%: pyproject.toml | $(RUN)
	@echo "Installing pullback_widgets[$*] into $(VENV); the first time this takes minutes (torch)."
	$(RUN) -m pip install --quiet "pip>=22"
	$(RUN) -m pip install --editable ".[$*]"
	@touch $@

$(RUN):
	@command -v $(PYTHON) >/dev/null || { \
	  echo "There is no '$(PYTHON)' here; install Python 3.10 or newer, or name one:" \
	       "make PYTHON=/path/to/python3 ..."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "$$($(PYTHON) --version) is too old, 3.10 or newer is needed; name one:" \
	       "make PYTHON=/path/to/python3.12 ..."; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "$(PYTHON) could not make an environment in $(VENV); on Debian and Ubuntu this needs:" \
	       "apt install python3-venv"; exit 1; }
