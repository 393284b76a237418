"""backtest."""

from __future__ import annotations

from statistics import mean, stdev
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowguard.cli._output import Json, parse_day, print_json, print_table, steps
from rowguard.cli._target import database_url

if TYPE_CHECKING:
    from trainer.backtest.runner import BacktestedModel

MEASURES = ("auc", "average_precision", "card_precision_at_100")


def backtest(
    train_start: Annotated[
        str, typer.Option(help="First training day of the first fold.", show_default=False)
    ],
    train_days: Annotated[int, typer.Option(help="Days to train on.", min=1)] = 7,
    delay_days: Annotated[int, typer.Option(help="Label delay in days.", min=0)] = 7,
    test_days: Annotated[int, typer.Option(help="Days to test on.", min=1)] = 7,
    folds: Annotated[int, typer.Option(help="Number of folds, a week later each.", min=1)] = 1,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out a feature group: user-windows, merchant-risk, user-risk, location, calendar, "
            "derived. Repeatable.",
            show_default=False,
        ),
    ] = None,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="Also leave out each feature group in turn.")
    ] = False,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Also evaluate models that scikit-learn scores.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train with the labels known at the time, score the following days by the SQL function, report metrics.

    Features of new transactions are built first. Cards known as compromised are dropped from the test days. The
    baselines are the fraud-detection handbook's features with scikit-learn's default forest, and logistic regression
    and gradient boosting on the feature list.

    Example: rowguard backtest --train-start 2018-05-13 --folds 4 --baselines
    """
    from rowguard.settings import settings
    from trainer.backtest.protocol import BacktestPlan
    from trainer.backtest.runner import build_missing_features, compare_models

    start = parse_day(train_start, "--train-start")
    url = database_url()
    with steps(quiet=as_json) as step:
        plan = BacktestPlan(start, train_days, delay_days, test_days)
        build_missing_features(url, settings(), plan.shifted(folds - 1).test_end, progress=step)
        models = compare_models(
            url,
            plan,
            folds=folds,
            without=without or (),
            baselines=baselines,
            ablation=ablation,
            progress=step,
        )
    if as_json:
        document = _document(models[0])
        if len(models) > 1:
            document["compared"] = {model.name: _document(model) for model in models[1:]}
        print_json(document)
        return
    _print_folds(models[0])
    if len(models) > 1:
        _print_comparison(models)


def means(results: Any) -> dict[str, float]:
    """Return the mean of each measure over the folds."""
    return {name: mean(getattr(result, name) for result in results) for name in MEASURES}


def _document(model: BacktestedModel) -> dict[str, Any]:
    return {
        **means(model.results),
        **_counts(model),
        "spread": _spreads(model),
        "folds": model.results,
    }


def _spreads(model: BacktestedModel) -> dict[str, float | None]:
    if len(model.results) == 1:
        return dict.fromkeys(MEASURES)
    return {name: stdev(getattr(result, name) for result in model.results) for name in MEASURES}


def _counts(model: BacktestedModel) -> dict[str, int]:
    return {
        "nodes": max(result.nodes for result in model.results),
        "rows": sum(result.rows for result in model.results),
        "frauds": sum(result.frauds for result in model.results),
    }


def _print_folds(model: BacktestedModel) -> None:
    counts = _counts(model)
    rows: list[tuple[Any, ...]] = [
        (f"{result.start:%Y-%m-%d}", *(getattr(result, name) for name in (*MEASURES, *counts)))
        for result in model.results
    ]
    if len(model.results) > 1:
        rows.append(("mean", *means(model.results).values(), *counts.values()))
        rows.append(("± (std)", *_spreads(model).values(), None, None, None))
    print_table(["train from", "AUC", "AP", "CP@100", "nodes", "test rows", "frauds"], rows, model.name)


def _print_comparison(models: list[BacktestedModel]) -> None:
    """Print means over the folds, and the mean difference of average precision to the first model."""
    rows = []
    for model in models:
        pairs = zip(model.results, models[0].results, strict=True)
        difference = mean(own.average_precision - first.average_precision for own, first in pairs)
        rows.append(
            (
                model.name,
                *means(model.results).values(),
                _spreads(model)["average_precision"],
                difference if model is not models[0] else None,
                _counts(model)["nodes"] or None,
            )
        )
    print_table(["model", "AUC", "AP", "CP@100", "± AP", "AP to first", "nodes"], rows, "Compared")
