"""register, threshold."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rowguard.cli._deploy import Force, print_deployment
from rowguard.cli._models import print_training
from rowguard.cli._next import print_next
from rowguard.cli._output import Json, out, parse_day, print_json, print_table, steps
from rowguard.cli._target import database_url

AlertBudgetOption = Annotated[
    float | None, typer.Option(help="Largest alert rate; sets the threshold.", show_default=False)
]


def register(
    file: Annotated[
        Path,
        typer.Argument(
            help="XGBoost JSON or UBJ, LightGBM text, CatBoost JSON or cbm, skops, or a pickle.",
            show_default=False,
        ),
    ],
    features: Annotated[
        str | None,
        typer.Option(
            help="Names of its features in its order, comma-separated, if the file has none.",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            help="Fraud probability from which on a row is an alert.", min=0, max=1, show_default=False
        ),
    ] = None,
    alert_budget: AlertBudgetOption = None,
    fitted_until: Annotated[
        Any,
        typer.Option(
            parser=parse_day, metavar="DAY", help="End of its training data; only later rows evaluate it."
        ),
    ] = None,
    allow_pickle: Annotated[
        bool, typer.Option("--allow-pickle", help="Load a pickle, which runs code of its author.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Register a model that was fitted elsewhere as a candidate, from its file.

    Example: rowguard register model.json --fitted-until 2026-10-01
    """
    from rowguard.settings import settings
    from trainer.registration import register_file

    url = database_url()
    with steps(quiet=as_json) as step:
        result = register_file(
            url,
            settings(),
            file,
            features=[name.strip() for name in features.split(",")] if features else (),
            rule=_rule(threshold, alert_budget, None),
            fitted_until=fitted_until,
            allow_pickle=allow_pickle,
            progress=step,
        )
    if as_json:
        print_json(
            {
                **result.training.as_document(),
                "unused_features": list(result.unused_features),
                "notes": list(result.notes),
            }
        )
        return
    print_training(result.training)
    if result.unused_features:
        out.print(
            f"features of the list that it does not use: {', '.join(result.unused_features)}", markup=False
        )
    for note in result.notes:
        out.print(note, markup=False)
    print_next(url, (f"rowguard deploy {result.training.version}", "make it champion, or --as challenger"))


def threshold(
    value: Annotated[
        float | None,
        typer.Argument(
            help="Fraud probability from which on a row is an alert.", min=0, max=1, show_default=False
        ),
    ] = None,
    alert_budget: AlertBudgetOption = None,
    cost: Annotated[
        tuple[float, float] | None,
        typer.Option(
            help="Cost of a false positive and of a false negative: least total cost.", show_default=False
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would have done.")] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Deploy the champion with another threshold, without training.

    Example: rowguard threshold --alert-budget 0.005
    """
    from rowguard.settings import settings
    from trainer.rethreshold import change_threshold

    rule = _rule(value, alert_budget, cost)
    if rule is None:
        raise typer.BadParameter("give VALUE, --alert-budget or --cost")
    url = database_url()
    with steps(quiet=as_json) as step:
        change = change_threshold(url, settings(), rule, dry_run=dry_run, force=force, progress=step)
    if as_json:
        print_json(change.as_document())
        return
    rows = [
        {
            "threshold": value,
            "alerts": evaluation.true_positives + evaluation.false_positives,
            "alert rate": evaluation.alert_rate,
            "precision": evaluation.precision,
            "recall": evaluation.recall,
            "false positives": evaluation.false_positives,
            "missed frauds": evaluation.false_negatives,
        }
        for value, evaluation in (
            (change.previous_threshold, change.before),
            (change.threshold, change.after),
        )
    ]
    print_table(rows, f"{change.before.rows:,} labeled rows ({change.basis})")
    if change.deployment:
        print_deployment(change.deployment)
    print_next(url)


def _rule(value: float | None, alert_budget: float | None, cost: tuple[float, float] | None) -> Any:
    from trainer.evaluation import AlertBudget, ExpectedCost
    from trainer.registration import FixedThreshold

    if sum(option is not None for option in (value, alert_budget, cost)) > 1:
        raise typer.BadParameter("give only one of a threshold, --alert-budget and --cost")
    if value is not None:
        return FixedThreshold(value)
    if alert_budget is not None:
        return AlertBudget(alert_budget)
    return ExpectedCost(*cost) if cost is not None else None
