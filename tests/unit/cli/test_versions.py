"""Versions are named by their start, or by the start of their hash."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from rowguard.cli._target import resolve_version
from rowguard.errors import RegistryError

VERSIONS = ("rf_20261101_1a2b3c4d", "rf_20261102_1a2bffff", "hist_20261102_77777777")


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [SimpleNamespace(version=version) for version in VERSIONS]
    monkeypatch.setattr("rowguard.database.connect", lambda url: nullcontext())
    monkeypatch.setattr("sql_scoring.registry.list_models", lambda connection: records)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("rf_20261101_1a2b3c4d", "rf_20261101_1a2b3c4d"),
        ("rf_20261102", "rf_20261102_1a2bffff"),
        ("hist", "hist_20261102_77777777"),
        ("1a2b3", "rf_20261101_1a2b3c4d"),
        ("777", "hist_20261102_77777777"),
        ("xgb", "xgb"),  # the registry then says that there is none
        ("", ""),
    ],
)
def test_a_unique_start_is_enough(given: str, expected: str) -> None:
    assert resolve_version("", given) == expected


@pytest.mark.parametrize("given", ["rf_", "1a2b"])
def test_an_ambiguous_start_names_what_fits(given: str) -> None:
    with pytest.raises(RegistryError, match="rf_20261101_1a2b3c4d, rf_20261102_1a2bffff"):
        resolve_version("", given)
