"""The monitoring report, from rows: what it says on a first day, and the picture of the documentation."""

from __future__ import annotations

import math
import os
import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from rowguard.operations.plots import draw
from rowguard.operations.report import verdict, write_report
from sql_scoring.registry import ModelRecord

PICTURE = Path(__file__).parents[3] / "docs" / "images" / "monitoring-report.svg"
FIRST = date(2026, 11, 1)
FEATURES = ("transaction_amount", "user_txn_count_7d", "user_amount_mean_7d", "merchant_fraud_rate_28d")
VERSION = "rf_20261030_020000"
Row = dict[str, Any]


def model(version: str, state: str) -> ModelRecord:
    values = dict.fromkeys(ModelRecord.__dataclass_fields__)
    metrics = {"alert_rate": 0.01, "precision": 0.5, "recall": 0.7, "average_precision": 0.6}
    time = datetime(2026, 10, 30, tzinfo=UTC)
    known = {
        "version": version,
        "state": state,
        "metrics": metrics,
        "threshold": 0.25,
        "node_count": 7_000,
        "feature_hash": "0" * 32,
        "canary_percent": 0.0,
        "train_from": time - timedelta(days=60),
        "train_to": time,
    }
    return ModelRecord(**(values | known))  # type: ignore[arg-type]


def metric(name: str, rows: int, min_rows: int, *, is_alarm: bool = False) -> Row:
    return {
        "metric": name,
        "subject": "score",
        "value": 0.1,
        "row_count": rows,
        "alarm_threshold": 0.25,
        "min_rows": min_rows,
        "has_enough_rows": rows >= min_rows,
        "is_alarm": is_alarm,
    }


def tables(days: int, rows: int = 900) -> dict[str, list[Row]]:
    """Days with a slow wave in every series; labels are due for the last seven, the amount drifts from day 20 on."""
    dates = [FIRST + timedelta(days=number) for number in range(days)]
    wave = [1 + math.sin(number / 3) / 4 for number in range(days)]
    drifting = [number > 20 for number in range(days)]
    return {
        "money_daily": [
            {
                "event_date": day,
                "open_alerts": 9 if number >= days - 7 else 0,
                "open_amount": 720 if number >= days - 7 else 0,
                "caught": round(6 * wave[number]),
                "caught_amount": 510 * wave[number],
                "missed": 2,
                "missed_amount": 90 * wave[number],
                "false_alerts": 0 if number >= days - 7 else 5,
            }
            for number, day in enumerate(dates)
        ],
        "scores_daily": [
            {
                "event_date": day,
                "model_version": VERSION,
                "row_count": round(rows * wave[number]),
                "alert_rate": 0.012 * wave[number],
                "score_quantiles": [0.02, 0.08 * wave[number], 0.4 * wave[number]],
            }
            for number, day in enumerate(dates)
        ],
        "outcomes_daily": [
            {
                "event_date": day,
                "model_version": VERSION,
                "is_mature": number < days - 7,
                "precision": 0.5 * wave[number],
                "recall": 0.7 * wave[number],
            }
            for number, day in enumerate(dates)
        ],
        "distributions_daily": [
            {
                "event_date": day,
                "name": name,
                "row_count": round(rows * wave[number]),
                "psi": (0.5 if drifting[number] and name == FEATURES[0] else 0.06) * wave[number],
            }
            for number, day in enumerate(dates)
            for name in ("score", *FEATURES)
        ],
        "drift": [
            {
                "name": "score",
                "row_count": min(days, 7) * rows,
                "psi": 0.061,
                "live_fractions": [0.0, *(0.07 + 0.01 * number for number in range(10))],
                "reference_fractions": [0.0, *(0.1 for _ in range(10))],
            }
        ],
        "challenger_daily": [],
    }


def texts(svg: str) -> list[str]:
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_the_picture_of_the_documentation() -> None:
    """`make golden` draws it again."""
    drawn = draw(tables(28), model(VERSION, "champion"), 1_000)
    if os.environ.get("WRITE_PICTURES"):
        PICTURE.write_text(drawn + "\n")
    stored = PICTURE.read_text()
    assert texts(drawn) == texts(stored)
    assert len(drawn) == pytest.approx(len(stored), rel=0.01)


def test_a_first_day_is_grey_and_its_axes_follow_the_data(tmp_path: Path) -> None:
    metrics = [metric("score_psi", 12, 1_000), metric("champion_age_days", 0, 0)]
    one_day = tables(1, rows=12)
    one_day["outcomes_daily"] = one_day["money_daily"] = []
    write_report(tmp_path / "page.html", [model(VERSION, "champion")], metrics, one_day)
    page = (tmp_path / "page.html").read_text()
    assert (
        'class="banner unknown">Too few rows to evaluate: score_psi has 12 of 1,000 rows, 988 are missing.'
        in page
    )
    assert "too few rows, 988 missing" in page and "No alarms" not in page
    assert page.index("open alerts") < page.index("<svg")
    dates = {text for text in texts(page) if re.fullmatch(r"\d\d [A-Z][a-z]{2}", text)}
    assert dates == {"01 Nov"}
    assert texts(page).count("no labels yet") == 2
    assert "last 7 days, 12 rows of 1,000" in page and "(grey: fewer than 142 rows)" in page
    assert "http://" not in re.sub(
        r'(xmlns|xlink)[:\w]*="[^"]*"|<metadata>.*?</metadata>', "", page, flags=re.DOTALL
    )


def test_before_any_live_row(tmp_path: Path) -> None:
    empty: dict[str, list[Row]] = {name: [] for name in tables(1)}
    write_report(tmp_path / "page.html", [], [], empty)
    page = (tmp_path / "page.html").read_text()
    assert "Nothing to evaluate yet" in page and texts(page).count("no live rows yet") == 3


@pytest.mark.parametrize(
    ("metrics", "status", "part"),
    [
        (
            [metric("a", 9, 5), metric("b", 9, 5, is_alarm=True)],
            "alarm",
            "1 alarm: b of score is 0.1 (alarm at 0.25)",
        ),
        ([metric("a", 9, 5)], "ok", "No alarms."),
        ([metric("a", 9, 5), metric("b", 1, 5)], "ok", "Not evaluated: b has 1 of 5 rows, 4 are missing."),
        ([metric("b", 1, 5)], "unknown", "Too few rows to evaluate: b has 1 of 5 rows"),
        ([metric("champion_age_days", 0, 0)], "unknown", "Nothing to evaluate yet"),
    ],
)
def test_verdicts(metrics: list[Row], status: str, part: str) -> None:
    found, sentence = verdict(metrics)
    assert found == status and part in sentence
