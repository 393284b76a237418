"""backtest."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import mean, stdev
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowguard.cli._output import Json, counted_steps, parse_day, print_json, print_table, steps
from rowguard.cli._parameters import FraudClassWeight, LeafRows, Leaves, Model, Trees, model_parameters
from rowguard.cli._target import database_url

if TYPE_CHECKING:
    from trainer.backtest.protocol import BacktestResult

# JSON key → header.
MEASURES = {
    "auc": "AUC",
    "average_precision": "AP",
    "recall_at_1_percent": "recall at 1 % FPR",
    "card_precision_at_100": "CP@100",
}


def backtest(
    train_start: Annotated[
        Any, typer.Option(parser=parse_day, metavar="DAY", help="First training day of the first fold.")
    ],
    train_days: Annotated[int, typer.Option(help="Days to train on.", min=1)] = 7,
    delay_days: Annotated[int, typer.Option(help="Label delay in days.", min=0)] = 7,
    test_days: Annotated[int, typer.Option(help="Days to test on.", min=1)] = 7,
    folds: Annotated[int, typer.Option(help="Number of folds, a week later each.", min=1)] = 1,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out a feature group, such as user-windows, merchant-risk or derived. Repeatable.",
            show_default=False,
        ),
    ] = None,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="Also leave out each feature group in turn.")
    ] = False,
    baselines: Annotated[
        bool, typer.Option("--baselines", help="Also evaluate models that scikit-learn scores.")
    ] = False,
    model: Model = None,
    trees: Trees = None,
    leaves: Leaves = None,
    leaf_rows: LeafRows = None,
    fraud_class_weight: FraudClassWeight = None,
    keep_compromised: Annotated[
        bool,
        typer.Option(
            "--keep-compromised", help="Also test cards with known frauds, as with long test periods."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Train with the labels known at the time, score the following days by the SQL function, report metrics.

    Features of new transactions are built first. Cards known as compromised are dropped from the test days. The
    baselines are scikit-learn's default forest, logistic regression and gradient boosting on the same features.

    Example: rowguard backtest --train-start 2018-05-13 --folds 4 --baselines
    """
    from rowguard.settings import settings
    from trainer.backtest.protocol import BacktestPlan
    from trainer.backtest.runner import build_missing_features, compare_models, select_models

    url = database_url()
    with steps(quiet=as_json) as step:
        plan = BacktestPlan(
            train_start, train_days, delay_days, test_days, drops_compromised=not keep_compromised
        )
        build_missing_features(url, settings(), plan.shifted(folds - 1).test_end, progress=step)
    options: dict[str, Any] = {
        "parameters": model_parameters(
            model, trees=trees, leaves=leaves, leaf_rows=leaf_rows, fraud_class_weight=fraud_class_weight
        ),
        "without": without or (),
        "baselines": baselines,
        "ablation": ablation,
    }
    total = folds * len(select_models(url, **options))
    with counted_steps("fits", total, quiet=as_json) as step:
        models = compare_models(url, plan, folds=folds, **options, progress=step)
    if as_json:
        first, *others = models
        document = _document(models[first])
        if others:
            document["compared"] = {name: _document(models[name]) for name in others}
        print_json(document)
        return
    _print_folds(*next(iter(models.items())))
    if len(models) > 1:
        _print_comparison(models)


def means(results: Any) -> dict[str, float]:
    """Return the mean of each measure over the folds.

    Args:
        results: Results of a model's folds.

    Returns:
        Measure to mean.
    """
    return {name: mean(getattr(result, name) for result in results) for name in MEASURES}


def headed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the measures among some values under their headers.

    Args:
        values: JSON key to value.

    Returns:
        Header to value.
    """
    return {header: values[name] for name, header in MEASURES.items()}


def _document(results: list[BacktestResult]) -> dict[str, Any]:
    return {**means(results), **_counts(results), "spread": _spreads(results), "folds": results}


def _spreads(results: list[BacktestResult]) -> dict[str, float | None]:
    if len(results) == 1:
        return dict.fromkeys(MEASURES)
    return {name: stdev(getattr(result, name) for result in results) for name in MEASURES}


def _counts(results: list[BacktestResult]) -> dict[str, Any]:
    return {
        "nodes": max(result.nodes for result in results),
        "rows": sum(result.rows for result in results),
        "frauds": sum(result.frauds for result in results),
    }


def _print_folds(name: str, results: list[BacktestResult]) -> None:
    counts = _counts(results)
    rows = [
        {"train from": f"{result.start:%Y-%m-%d}", **headed(vars(result)), **_counts([result])}
        for result in results
    ]
    if len(results) > 1:
        rows.append({"train from": "mean", **headed(means(results)), **counts})
        rows.append({"train from": "± (std)", **headed(_spreads(results)), **dict.fromkeys(counts)})
    print_table(rows, name)


def _print_comparison(models: dict[str, list[BacktestResult]]) -> None:
    """Print means over the folds, and the mean difference of average precision to the first model."""
    first = means(next(iter(models.values())))
    rows: list[dict[str, Any]] = []
    for name, results in models.items():
        average = means(results)
        difference = average["average_precision"] - first["average_precision"] if rows else None
        rows.append(
            {
                "model": name,
                **headed(average),
                "± AP": _spreads(results)["average_precision"],
                "AP to first": difference,
                "nodes": _counts(results)["nodes"] or None,
            }
        )
    print_table(rows, "Compared")
