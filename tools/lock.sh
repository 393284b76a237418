#!/usr/bin/env bash
# Resolves the dependency groups into requirements/*.txt, for every platform, without index addresses.
set -euo pipefail
cd "$(dirname "$0")/.."
compile=(uv pip compile --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --no-header --quiet --upgrade)
"${compile[@]}" pyproject.toml --group build -o requirements/runtime.txt
"${compile[@]}" pyproject.toml --group build --group test -c requirements/runtime.txt -o requirements/test.txt
"${compile[@]}" --group lint --group lint-sql -o requirements/lint.txt
"${compile[@]}" pyproject.toml --group build --group airflow -c requirements/runtime.txt -o requirements/airflow.txt
