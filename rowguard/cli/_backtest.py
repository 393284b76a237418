"""backtest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowguard.cli._output import Json, out, parse_time, print_json, steps, table
from rowguard.cli._target import database_url

if TYPE_CHECKING:

MEASURES = ("auc", "average_precision", "card_precision_at_100")


def register(app: typer.Typer) -> None:
    app.command()(backtest)


def backtest(
    train_start: Annotated[
        str, typer.Option(help="First training day of the first fold.", show_default=False)
    ],
    train_days: Annotated[int, typer.Option(help="Days to train on.", min=1)] = 7,
    delay_days: Annotated[int, typer.Option(help="Days until labels are known.", min=0)] = 7,
    test_days: Annotated[int, typer.Option(help="Days to test on.", min=1)] = 7,
    folds: Annotated[int, typer.Option(help="Repeat it a week later each time.", min=1)] = 1,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out a group of features (may be repeated): user-windows, merchant-risk, user-risk, "
            "location, calendar, derived.",
            show_default=False,
        ),
    ] = None,
    groups: Annotated[
        bool, typer.Option("--groups", help="Also without each group of features in turn.")
    ] = False,
    baselines: Annotated[
        bool,
        typer.Option("--baselines", help="Also models that are not deployed, scored by scikit-learn."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Train with what was known then, score the days after by the SQL function, report how it ranked.

    Cards that were known as compromised are dropped from the test days. The baselines are the fraud-detection
    handbook's features with scikit-learn's default forest, and logistic regression and gradient boosting on the
    features of the list.

    Example: rowguard backtest --train-start 2018-05-13 --folds 4 --baselines
    """
    from trainer.backtest.runner import compare_models
    from trainer.backtest.protocol import BacktestPlan

    start = parse_time(train_start, "--train-start")
    assert start is not None
    start = start.replace(hour=0, minute=0, second=0, microsecond=0)
    url = database_url()
    with steps(quiet=as_json) as step:
        plan = BacktestPlan(start, train_days, delay_days, test_days)
        found = compare_models(
            url,
            plan,
            folds=folds,
            without=without or (),
            baselines=baselines,
            each_group=groups,
            progress=step,
        )
    if as_json:
        document = _document(found[0])
        if len(found) > 1:
            document["compared"] = {one.name: _document(one) for one in found[1:]}
        print_json(document)
        return
    _print_folds(found[0])
    if len(found) > 1:
        _print_comparison(found)


def _document(contender: BacktestedModel) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        **_means(contender),
        **_counts(contender),
        "spread": _spreads(contender),
        "folds": [asdict(one) for one in contender.results],
    }


def _means(contender: BacktestedModel) -> dict[str, float]:
    from statistics import mean

    return {name: mean(getattr(one, name) for one in contender.results) for name in MEASURES}


def _spreads(contender: BacktestedModel) -> dict[str, float | None]:
    from statistics import stdev

    if len(contender.results) == 1:
        return dict.fromkeys(MEASURES)
    return {name: stdev(getattr(one, name) for one in contender.results) for name in MEASURES}


def _counts(contender: BacktestedModel) -> dict[str, int]:
    return {
        "nodes": max(one.nodes for one in contender.results),
        "rows": sum(one.rows for one in contender.results),
        "frauds": sum(one.frauds for one in contender.results),
    }


def _print_folds(contender: BacktestedModel) -> None:
    columns = ["train from", "AUC", "AP", "CP@100", "nodes", "test rows", "frauds"]
    counts = _counts(contender)
    shown: list[tuple[Any, ...]] = [
        (f"{one.start:%Y-%m-%d}", *(getattr(one, name) for name in (*MEASURES, *counts)))
        for one in contender.results
    ]
    if len(contender.results) > 1:
        shown.append(("mean", *_means(contender).values(), *counts.values()))
        shown.append(("± (std)", *_spreads(contender).values(), None, None, None))
    out.print(table(columns, shown, title=contender.name))


def _print_comparison(found: list[BacktestedModel]) -> None:
    """Means over the folds, and how far average precision lies from the first line's, fold by fold."""
    shown = []
    for one in found:
        pairs = zip(one.results, found[0].results, strict=True)
        differences = [mine.average_precision - first.average_precision for mine, first in pairs]
        shown.append(
            (
                one.name,
                *_means(one).values(),
                _spreads(one)["average_precision"],
                sum(differences) / len(differences) if one is not found[0] else None,
                _counts(one)["nodes"] or None,
            )
        )
    out.print(
        table(["model", "AUC", "AP", "CP@100", "± AP", "AP to first", "nodes"], shown, title="Compared")
    )
