# rowguard. `make help` lists the targets from their own comments.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LINT := .venv-lint/bin
PIP := -m pip install --quiet --disable-pip-version-check --no-warn-conflicts

.PHONY: help setup demo test test-all lint format bench chaos longrun lock golden airflow airflow-env clean

help: ## Show the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.runtime ## Virtual environment with what running takes

demo: $(VENV)/.runtime ## The whole way: PostgreSQL, history, features, model, live transactions
	@$(BIN)/rowguard demo

test: $(VENV)/.test .venv-airflow/.done ## All tests, the DAGs in Airflow included
	@$(BIN)/python -m pytest

test-all: $(VENV)/.test .venv-airflow/.done ## The tests on the embedded server and again on the PostgreSQL on PATH
	@$(BIN)/python -m pytest
	@ROWGUARD_POSTGRES_BIN="$$($(PYTHON) tools/path_postgres.py)" $(BIN)/python -m pytest

lint: $(VENV)/.test .venv-lint/.done ## What CI and pre-commit check: ruff, mypy, import directions, SQL
	@PATH="$(CURDIR)/$(LINT):$$PATH" $(LINT)/pre-commit run --all-files

format: .venv-lint/.done ## Format the Python code
	@$(LINT)/ruff format . && $(LINT)/ruff check --fix .

bench: $(VENV)/.test ## The benchmark tables
	@$(BIN)/python -m benchmarks

chaos: $(VENV)/.test ## Faults under load, and a table of what was lost (about 8 minutes)
	@$(BIN)/python -m benchmarks.chaos

longrun: $(VENV)/.test ## An hour's inserts in minutes, on ten million rows: memory, bloat, plans, latency (half an hour, 15 GB)
	@$(BIN)/python -m benchmarks.soak.run >/dev/null

golden: $(VENV)/.test ## Write the expected SQL of the small forests again
	@$(BIN)/python -m tests.unit.engine.golden.regenerate

airflow: $(VENV)/.runtime .venv-airflow/.done ## Airflow with its UI on localhost:8080, on the local stack, until Ctrl-C
	@$(BIN)/rowguard up
	@exec .venv-airflow/bin/python tools/run_airflow.py --port $(or $(PORT),8080)

airflow-env: .venv-airflow/.done ## Airflow's environment: the DAG tests then run the DAGs for real

lock: ## Resolve the dependencies again (needs uv on PATH)
	@tools/lock.sh

clean: ## Stop the local stack and remove what this checkout made, its database included
	@if [ -x $(BIN)/rowguard ]; then $(BIN)/rowguard down; fi
	@rm -rf .rowguard $(VENV) .venv-lint .venv-airflow .mypy_cache .ruff_cache .pytest_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "rowguard needs Python 3.11 or newer; set PYTHON=..." >&2; exit 1; }
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.runtime: requirements/runtime.txt pyproject.toml | $(VENV)/bin/python
	@echo "installing the locked dependencies (about a minute)"
	@$(BIN)/python $(PIP) -r requirements/runtime.txt
	@$(BIN)/python $(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.test: requirements/test.txt $(VENV)/.runtime
	@echo "installing what the tests need"
	@$(BIN)/python $(PIP) -r requirements/test.txt
	@touch $@

# An environment of its own: sqlfluff's dbt templater and the linters pin other versions.
.venv-lint/.done: requirements/lint.txt
	@echo "installing the linters"
	@$(PYTHON) -m venv .venv-lint
	@$(LINT)/python $(PIP) -r requirements/lint.txt
	@touch $@

.venv-airflow/.done: requirements/airflow.txt pyproject.toml
	@echo "installing Airflow (about two minutes)"
	@$(PYTHON) -m venv .venv-airflow
	@.venv-airflow/bin/python $(PIP) -r requirements/airflow.txt
	@.venv-airflow/bin/python $(PIP) --no-deps --no-build-isolation --editable .
	@touch $@
