# Needs Python 3.11 or newer and make. Everything else lives in .venv.
SHELL := /bin/sh
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
JOBS ?= auto

.PHONY: run demo install test test-long browsers lint lock bench clean

run: .venv/run
	@$(BIN)/countersign demo --keep --port $(PORT)

# The sample company with an account at every provider, all simulated on this machine.
demo: .venv/dev
	@$(BIN)/python -m tests.simulators.demo --port $(PORT)

install: .venv/run

# The virtual environment with the locked packages; made again when the lock changes.
.venv/run: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Countersign needs Python 3.11 or newer; set PYTHON=/path/to/python3." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "This Python has no venv module: install it (on Debian: apt install python3-venv) and try again." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing the locked packages into .venv (about half a minute the first time)."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev: .venv/run requirements-dev.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

test: .venv/dev
	@$(BIN)/python -m pytest -n $(JOBS)

# Fault, load and mutation runs in their full length.
test-long: .venv/dev
	@COUNTERSIGN_TEST_LONG=1 $(BIN)/python -m pytest -n $(JOBS)

# Signing and checking in Debian's Firefox, besides the Chromium of the ordinary run.
browsers: .venv/dev
	@$(BIN)/python -m pytest -n $(JOBS) -m firefox tests/browser/test_firefox.py

lint: .venv/dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: .venv/dev
	@$(BIN)/python -m bench

# Compile the locks again after changing requirements*.in.
lock:
	@$(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/pip install --quiet uv
	@for name in requirements requirements-dev; do .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate --custom-compile-command "make lock" $$name.in -o $$name.txt; done

clean:
	@rm -rf .venv .venv-lock
