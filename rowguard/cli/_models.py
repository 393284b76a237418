"""train, models, retrain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowguard.cli._deploy import print_deployment
from rowguard.cli._next import print_next
from rowguard.cli._output import (
    From,
    Json,
    To,
    out,
    print_facts,
    print_json,
    print_table,
    steps,
)
from rowguard.cli._parameters import FraudClassWeight, LeafRows, Leaves, Model, Trees, model_parameters
from rowguard.cli._target import database_url

if TYPE_CHECKING:
    from trainer.training import TrainingResult

# JSON key → attribute of the registry's record.
_MODEL_KEYS = {
    **{name: name for name in ("version", "state", "state_reason", "trained_at", "train_from", "train_to")},
    **{name: name for name in ("label_cutoff", "metrics", "threshold", "threshold_rule", "sql_bytes")},
    **{name: name for name in ("feature_hash", "deployed_at", "deployed_by", "canary_percent")},
    "rows": "row_count",
    "frauds": "fraud_count",
    "trees": "tree_count",
    "nodes": "node_count",
}


def train(
    start: From = None,
    cutoff: To = None,
    alert_budget: Annotated[
        float | None, typer.Option(help="Largest alert rate; sets the threshold.")
    ] = None,
    false_positive_cost: Annotated[
        float | None,
        typer.Option(help="With --false-negative-cost: choose the threshold of least cost instead."),
    ] = None,
    false_negative_cost: Annotated[float | None, typer.Option(help="See --false-positive-cost.")] = None,
    model: Model = None,
    trees: Trees = None,
    leaves: Leaves = None,
    leaf_rows: LeafRows = None,
    fraud_class_weight: FraudClassWeight = None,
    monotonic: Annotated[
        list[str] | None,
        typer.Option(
            help="Boosted models: FEATURE=1 where the score may only rise, FEATURE=-1 where only fall. Repeatable.",
            show_default=False,
        ),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option(help="none or isotonic, by default ROWGUARD_CALIBRATION.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """Fit on the point-in-time training set and register a candidate.

    Example: rowguard train --from 2026-09-01 --to 2026-11-01 --alert-budget 0.005 --model hist
    """
    from rowguard.settings import settings
    from trainer.training import train as run

    parameters = model_parameters(
        model, trees=trees, leaves=leaves, leaf_rows=leaf_rows, fraud_class_weight=fraud_class_weight
    )
    parameters = _with_directions(parameters, monotonic or [])
    rule = _threshold_rule(alert_budget, false_positive_cost, false_negative_cost)
    url = database_url()
    with steps(quiet=as_json) as step:
        result = run(
            url,
            settings(),
            start=start,
            cutoff=cutoff,
            rule=rule,
            parameters=parameters,
            calibration=calibration,
            progress=step,
        )
    if as_json:
        print_json(result.as_document())
        return
    print_training(result)
    print_next(url, (f"rowguard deploy {result.version}", "make it champion, or --as challenger"))


def models(as_json: Json = False) -> None:
    """List all registered models, newest first.

    Example: rowguard models --json
    """
    from rowguard.database import connect
    from sql_scoring.registry import list_models

    url = database_url()
    with connect(url) as connection:
        records = list_models(connection)
    if as_json:
        print_json([{key: getattr(record, name) for key, name in _MODEL_KEYS.items()} for record in records])
        return
    if not records:
        out.print("no model yet")
        print_next(url)
        return
    rows = [
        {
            "version": record.version,
            "state": record.state,
            "AP": record.metrics["average_precision"],
            "trained (UTC)": record.trained_at,
            "AUC": record.metrics["auc"],
            "threshold": record.threshold,
            "rows": record.row_count,
            "frauds": record.fraud_count,
            "on": f"{record.train_from:%Y-%m-%d}…{record.train_to:%Y-%m-%d}",
            "nodes": record.node_count,
            "kB": record.sql_bytes // 1000,
        }
        for record in records
    ]
    print_table(rows)


def retrain(start: From = None, cutoff: To = None, as_json: Json = False) -> None:
    """Build features, train, pass the gates, deploy: the nightly run as one command.

    Example: rowguard retrain --to 2026-11-01
    """
    from rowguard.settings import settings
    from trainer.retrain import retrain as run

    url = database_url()
    with steps(quiet=as_json) as step:
        result = run(url, settings(), start=start, cutoff=cutoff, progress=step)
    if as_json:
        print_json(result.as_document())
        return
    print_training(result.training)
    if result.deployment:
        print_deployment(result.deployment)
    elif result.kept_because:
        out.print(f"{result.champion} remains champion. The new model is not deployed:")
        for reason in result.kept_because:
            out.print(f"  {reason}", markup=False)
    else:
        out.print(f"{result.champion} is the champion already: the same data give the same model")
    print_next(url)


def _with_directions(parameters: Any, monotonic: list[str]) -> Any:
    from dataclasses import replace

    from trainer.families import family_of

    if not monotonic:
        return parameters
    if family_of(parameters) == "forest":
        raise typer.BadParameter(
            "a forest has no monotone constraints here; give --model hist", param_hint="--monotonic"
        )
    directions = {}
    for item in monotonic:
        name, _, direction = item.rpartition("=")
        if not name or direction not in ("1", "-1"):
            raise typer.BadParameter(f"{item!r} is not FEATURE=1 or FEATURE=-1", param_hint="--monotonic")
        directions[name] = int(direction)
    return replace(parameters, monotonic=directions)


def _threshold_rule(
    alert_budget: float | None, false_positive_cost: float | None, false_negative_cost: float | None
) -> Any:
    from trainer.evaluation import AlertBudget, ExpectedCost

    if (false_positive_cost is None) != (false_negative_cost is None):
        raise typer.BadParameter("--false-positive-cost and --false-negative-cost go together")
    if false_positive_cost is not None and false_negative_cost is not None:
        if alert_budget is not None:
            raise typer.BadParameter("give either --alert-budget or the two costs")
        return ExpectedCost(false_positive_cost, false_negative_cost)
    return AlertBudget(alert_budget) if alert_budget is not None else None


def print_training(result: TrainingResult) -> None:
    """Print a candidate and its evaluation.

    Args:
        result: The candidate.
    """
    metrics, record = result.evaluation, result.record
    print_facts(
        result.version,
        {
            "trained on": f"{record.row_count:,} rows, {record.fraud_count:,} frauds",
            "evaluated on": f"{metrics.rows:,} later rows, {metrics.frauds:,} frauds",
            "ROC AUC": metrics.auc,
            "average precision": metrics.average_precision,
            "threshold": f"{result.threshold:.4f}  ({record.threshold_rule})",
            "margin there": record.margin_cut,
            "precision there": metrics.precision,
            "recall there": metrics.recall,
            "confusion matrix": f"{metrics.true_positives:,} true positives, {metrics.false_negatives:,} false "
            f"negatives, {metrics.false_positives:,} false positives, {metrics.true_negatives:,} true negatives",
            "model": f"{record.model_kind}, {record.tree_count} trees, {record.node_count:,} nodes, "
            f"{record.sql_bytes / 1e6:.1f} MB of SQL",
            "model card": result.card,
        },
    )
