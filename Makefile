# rcs-sim: `make demo` and `make test` are all that a new machine needs, with Python 3.11 or newer.

VENV     ?= .venv
BIN      := $(VENV)/bin
OUT      ?= rcs-sim-out
JOBS     ?= auto
PYTHON   ?= $(shell for p in python3.14 python3.13 python3.12 python3.11 python3 python; do \
	if command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo $$p; break; fi; done)

.PHONY: help demo test check lint format bench up clean
.DEFAULT_GOAL := help

help:
	@echo "make demo    one conversation as SMS, plain RCS and encrypted RCS, also with a failing network; files in $(OUT)/"
	@echo "make test    the tests (peers that are not installed are skipped, and named)"
	@echo "make check   format, lint, types, import contracts, tests"
	@echo "make bench   the table of speed and size"
	@echo "make up      two carriers on loopback sockets until Ctrl-C"

# The virtual environment is made again whenever pyproject.toml changes.
$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "rcs-sim needs Python 3.11 or newer: install it, or say 'make PYTHON=/path/to/python3.11'"; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "this Python has no venv module: install the package python3-venv"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . \
		|| { echo "the Python packages could not be installed: see the lines above; a package index must be reachable"; exit 2; }
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]' \
		|| { echo "the Python packages for the tests could not be installed: see the lines above"; exit 2; }
	@touch $@

demo: $(VENV)/.installed
	$(BIN)/rcs-sim demo --out $(OUT)

up: $(VENV)/.installed
	$(BIN)/rcs-sim up

bench: $(VENV)/.installed-test
	$(BIN)/rcs-sim bench

test: $(VENV)/.installed-test
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lint: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

check: lint test

format: $(VENV)/.installed-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) $(OUT) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
