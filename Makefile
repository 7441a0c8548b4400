# The two commands: `make run` judges the bundled reference, `make test` tests everything here but the whole of `make prove`.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: run test check unit prove matrix setup clean

run: setup
	@$(BIN)/conformance run --level core

test: check unit

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

unit: setup # a worker for each processor; what a file has in common, a server or a database, is made once
	$(BIN)/pytest --numprocesses auto --dist loadfile

prove: setup
	$(BIN)/onsembl-reference prove --report reports/run

matrix: setup # for a release: what else each defect breaks; slow
	$(BIN)/onsembl-reference prove --every-clause --report reports

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) (a minute or two, once)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .conformance reports/run
