"""Progress of long commands: what is running, what has happened, and how long the rest will take."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from rowguard.cli import _output
from sql_scoring.features.build import _count_nodes


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What is printed where no terminal is."""
    text = io.StringIO()
    monkeypatch.setattr(_output, "err", Console(file=text, width=100))
    return text


def test_a_step_is_ticked_off_when_it_has_happened(shown: io.StringIO) -> None:
    with _output.steps() as step:
        step("schema")
        assert "schema" not in shown.getvalue()
        step("fitting")
        step("fitting: 3 of 32 trees")
        assert "✓ schema" in shown.getvalue() and "fitting" not in shown.getvalue()
    assert shown.getvalue().count("✓ fitting") == 1


def test_a_step_that_fails_is_not_ticked_off(shown: io.StringIO) -> None:
    with pytest.raises(RuntimeError), _output.steps() as step:
        step("schema")
        step("fitting")
        raise RuntimeError
    assert "✓ schema" in shown.getvalue() and "fitting" not in shown.getvalue()


def test_the_time_of_all_steps_is_estimated_after_the_first(
    shown: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter([10.0, 40.0, 70.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(seconds))
    monkeypatch.setattr(_output, "bar", NoBar)
    with _output.counted_steps("fits", 20, hint="; shorter: --quick") as step:
        step("first")
        assert shown.getvalue() == ""
        step("second")
        assert shown.getvalue().strip() == "fits: 20, about 10.0 minutes; shorter: --quick"
        step("third")
    assert shown.getvalue().count("minutes") == 1


def test_quiet_steps_print_nothing(shown: io.StringIO) -> None:
    with _output.steps(quiet=True) as step, _output.counted_steps("fits", 3, quiet=True) as fit:
        step("schema")
        fit("first")
        fit("second")
    assert shown.getvalue() == ""


def test_a_build_counts_its_nodes() -> None:
    messages: list[str] = []
    on_node = _count_nodes(messages.append)
    on_node("stg_transactions", "success")
    on_node("merchant_risk", "success")
    assert messages == [
        "building features: 1 dbt nodes, stg_transactions",
        "building features: 2 dbt nodes, merchant_risk",
    ]


class NoBar:
    """In the place of the bar, which reads the clock as well."""

    def __init__(self, *_: object) -> None: ...

    def __enter__(self) -> object:
        return lambda count: None

    def __exit__(self, *_: object) -> None: ...
