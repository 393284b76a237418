# rowguard. `make help` lists the targets from their own comments.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LINT := .venv-lint/bin
PIP := -m pip install --quiet --disable-pip-version-check --no-warn-conflicts
# Each worker has a server: POSTGRES=container runs it in Docker. In the order of folders the long database files come
# first and the short unit tests last; xdist's order, most tests first, would leave long files for one worker.
WORKERS ?= 2
PYTEST = TEST_POSTGRES=$(POSTGRES) $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder
KEY_TESTS = tests/db/schema/test_insert.py tests/db/schema/test_user_locks.py tests/db/failure tests/db/features \
	tests/db/explain tests/db/api/test_scoring.py tests/db/api/test_explanation.py tests/db/api/test_transaction_writer.py

.PHONY: help setup demo test test-slow test-keys test-all lint format bench chaos soak lock golden airflow airflow-env clean

help: ## Show the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.runtime ## Create the virtual environment with the locked dependencies

demo: $(VENV)/.runtime ## Run everything once: PostgreSQL, history, features, model, live transactions
	@$(BIN)/rowguard demo

test: $(VENV)/.test ## Unit and database tests, one thin run of all parts (POSTGRES=container: in Docker)
	@$(PYTEST) -m "not slow"

test-slow: $(VENV)/.test .venv-airflow/.done ## The other tests: Airflow, the whole dbt matrix, chaos, soak, the wheel
	@$(PYTEST) -m slow

test-keys: $(VENV)/.test ## The tests of the INSERT path with uuid and with text as the type of user_id
	@for type in uuid text; do TEST_USER_ID_TYPE=$$type $(PYTEST) -m "not slow" $(KEY_TESTS) || exit 1; done

test-all: test test-slow test-keys ## All tests, and the database tests again on an installed PostgreSQL
	@binaries="$$($(PYTHON) tools/find_postgres.py)" || exit 0; \
		ROWGUARD_POSTGRES_BIN="$$binaries" $(PYTEST) -m "not slow" tests/db

lint: $(VENV)/.test .venv-lint/.done ## The checks of CI and pre-commit: ruff, mypy, import directions, SQL
	@PATH="$(CURDIR)/$(LINT):$$PATH" $(LINT)/pre-commit run --all-files

format: .venv-lint/.done ## Format the Python code
	@$(LINT)/ruff format . && $(LINT)/ruff check --fix .

bench: $(VENV)/.test ## Measure and write the benchmark tables
	@$(BIN)/python -m benchmarks

chaos: $(VENV)/.test ## Inject faults under load and count what was lost (about 8 minutes)
	@$(BIN)/python -m benchmarks.chaos

soak: $(VENV)/.test ## Insert for an hour's load on ten million rows: memory, bloat, plans, latency (half an hour, 15 GB)
	@$(BIN)/python -m benchmarks.soak.run >/dev/null

golden: $(VENV)/.test ## Regenerate the expected SQL of the small forests, and the picture of the report
	@$(BIN)/python -m tests.unit.engine.golden.regenerate
	@$(BIN)/python -c "from tests.unit.test_rendered_features import regenerate; regenerate()"
	@WRITE_PICTURES=1 $(BIN)/python -m pytest -q -n 0 tests/unit/operations/test_report.py tests/unit/explain/test_waterfall.py

airflow: $(VENV)/.runtime .venv-airflow/.done ## Run Airflow on the local stack until Ctrl-C, UI on localhost:8080
	@$(BIN)/rowguard up
	@exec .venv-airflow/bin/python tools/run_airflow.py --port $(or $(PORT),8080)

airflow-env: .venv-airflow/.done ## Create Airflow's environment, as the tests of the DAGs need it

lock: ## Resolve the dependencies (needs uv on PATH)
	@tools/lock.sh

clean: ## Stop the local stack and delete what this checkout made, including its database
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
	@echo "installing the dependencies of the tests"
	@$(BIN)/python $(PIP) -r requirements/test.txt
	@touch $@

# A separate environment: sqlfluff's dbt templater and the linters pin other versions.
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
