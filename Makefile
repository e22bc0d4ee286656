# Everything that a reader or a contributor runs. Needs make and Python; each target installs what
# it has to into .venv, once, and again only when settings.ini or constraints.txt has changed.
#
#   make demo PYTHON=python3.12      with that Python instead of the first one that fits
#   make test PYTEST_ARGS="-k cli"   what is handed on to pytest
#   make lab LAB_ARGS="--no-browser" what is handed on to JupyterLab
#   make docs DOCS_ARGS="--out site" what is handed on to tools/docs.py
#   make bench BENCH_ARGS="--help"   what is handed on to benchmarks/compare.py
#   make wheelhouse WHEELHOUSE_ARGS="--platform windows --python 3.12"    for whom; see --help

.DEFAULT_GOAL := help
SHELL := /bin/sh

VENV ?= .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PY := $(BIN)/python
PIP := $(PY) -m pip --disable-pip-version-check

OLDEST := $(shell sed -n 's/^min_python *= *//p' settings.ini)
NEWEST := $(shell sed -n 's/^max_python *= *//p' settings.ini)

# A process for each core; a file's tests share one, and with it what they have made.
WORKERS := --numprocesses auto --maxprocesses 4 --dist loadfile

.PHONY: help demo test test-slow lab docs workshop wheelhouse bench campaigns prepare clean

help:  ## this list
	@echo "movrec: run one of"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

demo: $(VENV)/.installed-runtime  ## build a recommender from the bundled films and try it
	@$(BIN)/movrec demo

test: $(VENV)/.installed-dev  ## style, types, generated files, every notebook, and tests/ but the slow ones
	@echo "==> Looking at style and types"
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@echo "==> Checking that what is generated is up to date"
	@$(PY) tools/project.py check
	@echo "==> Executing the notebooks"
	@$(PY) tools/project.py notebooks
	@echo "==> Running tests/ and the examples in the docstrings"
	@$(PY) -m pytest -m "not slow" $(WORKERS) $(PYTEST_ARGS)

test-slow: $(VENV)/.installed-dev  ## the tests that take their time: browsers, servers, whole builds
	@echo "==> Running the slow tests"
	@$(PY) -m pytest -m slow $(PYTEST_ARGS)

lab: $(VENV)/.installed-lab  ## open the notebooks in JupyterLab
	@echo "==> Starting JupyterLab in your browser (Ctrl-C here ends it)"
	@$(PY) -m jupyterlab --LabApp.default_url=/lab/tree/nbs/00_start.ipynb $(LAB_ARGS)

docs: $(VENV)/.installed-docs  ## the docs site, into _docs/: lessons, reference, search; opens offline
	@echo "==> Building the docs site, in some minutes"
	@$(PY) tools/docs.py $(DOCS_ARGS)

workshop: $(VENV)/.installed-dev  ## the workshop's exercise notebooks and slides, from the notebooks
	@$(PY) tools/project.py exercises
	@$(PY) tools/slides.py

wheelhouse: $(VENV)/.installed-runtime  ## a folder to install movrec from where there is no network
	@$(PY) workshop/wheelhouse.py $(WHEELHOUSE_ARGS)

bench: $(VENV)/.installed-sentence  ## movrec beside other methods: tables and ratios, in half an hour
	@echo "==> Training and measuring; the slow one is the recipe that movrec is compared with"
	@$(PY) benchmarks/compare.py $(BENCH_ARGS)

campaigns: $(VENV)/.installed-dev  ## thousands of kills, full disks, races and hostile parts, in hours
	@$(PY) tests/campaigns $(CAMPAIGN_ARGS)

prepare: $(VENV)/.installed-dev  ## before a commit: write all that is generated, then test
	@echo "==> Writing tidy cells, links, modules, clean notebooks, README.md, exercises, the house, figures"
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .
	@$(PY) tools/project.py links
	@$(PY) tools/project.py export
	@$(PY) tools/project.py clean
	@$(PY) tools/project.py readme
	@$(PY) tools/project.py exercises
	@$(PY) tools/project.py house
	@$(PY) tools/project.py guide
	@$(MAKE) --no-print-directory test

clean:  ## remove what builds and tests leave behind (.venv stays)
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache _proc _docs workshop/slides
	@rm -rf .ipynb_checkpoints nbs/.last_checked __pycache__
	@find movrec tests tools nbs \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune \
		-exec rm -rf {} +
	@echo "Clean. The installed packages are still in $(VENV): delete that folder to start afresh."


# ---- the environment ---------------------------------------------------------------------------

# Ends with success under a Python that movrec runs on.
FITS := import sys; number = lambda text: tuple(map(int, text.split("."))); \
	sys.exit(not number("$(OLDEST)") <= sys.version_info[:2] <= number("$(NEWEST)"))

# `python3` comes first: it is what the reader has chosen to be in front.
CANDIDATES := $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python)

# An environment that works is taken as it is; one whose Python has gone is made anew.
$(VENV)/.ready:
	@if $(PY) -c '$(FITS)' 2>/dev/null && $(PIP) --version >/dev/null 2>&1; then touch $@; exit; fi; \
	for candidate in $(CANDIDATES); do \
		if $$candidate -c '$(FITS)' >/dev/null 2>&1; then found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "movrec needs Python $(OLDEST) to $(NEWEST), and '$(CANDIDATES)' names none:" \
			"install one, or say where it is with PYTHON=/path/to/python." >&2; exit 1; \
	fi; \
	if ! $$found -c 'import venv, ensurepip' >/dev/null 2>&1; then \
		echo "$$($$found --version) comes without the venv module here:" \
			"install it (on Debian and Ubuntu: apt install python3-venv), then run make again." >&2; \
		exit 1; \
	fi; \
	echo "==> Creating $(VENV) with $$($$found --version)"; \
	if [ -f $(VENV)/pyvenv.cfg ]; then clear=--clear; fi; \
	$$found -m venv $$clear $(VENV) && touch $@

# One stamp for each set of packages: runtime (no extra), lab, docs, dev. On a terminal pip shows its own
# progress; elsewhere, in a log, only its errors.
$(VENV)/.installed-%: settings.ini setup.py pyproject.toml constraints.txt | $(VENV)/.ready
	@echo "==> Installing movrec $(if $(filter runtime,$*),,with its '$*' packages )into $(VENV)"
	@[ -f $(VENV)/.installed-runtime ] || { \
		echo "    The first time this downloads about half a gigabyte, and takes a minute or more."; \
		[ "$$(uname -s)" != Linux ] || echo "    (On Linux, torch may bring CUDA with it:" \
			"some 3 GB. docs/developing.md says how to do without.)"; }
	@if [ ! -t 1 ]; then quiet=-qq; fi; \
	$(PIP) install $$quiet --constraint constraints.txt --editable '.$(if $(filter runtime,$*),,[$*])'
	@touch $(VENV)/.installed-runtime $@
