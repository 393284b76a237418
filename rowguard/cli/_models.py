"""train, models, retrain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowguard.cli._deploy import deployment_document, print_deployment
from rowguard.cli._output import Json, next_steps, out, parse_time, print_json, steps, table
from rowguard.cli._target import database_url

if TYPE_CHECKING:
    from trainer.training import TrainingResult

From = Annotated[str | None, typer.Option("--from", help="First day of the training window.")]
To = Annotated[
    str | None,
    typer.Option(
        "--to", help="Cut-off: only labels known by then are used; the last transaction if not given."
    ),
]


def register(app: typer.Typer) -> None:
    app.command()(train)
    app.command()(models)
    app.command()(retrain)


def train(
    start: From = None,
    cutoff: To = None,
    alert_budget: Annotated[
        float | None, typer.Option(help="Share of transactions to flag; sets the threshold.")
    ] = None,
    false_alarm_cost: Annotated[
        float | None, typer.Option(help="With --missed-fraud-cost: threshold of least cost instead.")
    ] = None,
    missed_fraud_cost: Annotated[float | None, typer.Option(help="See --false-alarm-cost.")] = None,
    as_json: Json = False,
) -> None:
    """Fit on the point-in-time training set and register a candidate.

    Example: rowguard train --from 2026-09-01 --to 2026-11-01 --alert-budget 0.005
    """
    from trainer.retrain import train
    from rowguard.settings import settings

    rule = _rule(alert_budget, false_alarm_cost, missed_fraud_cost)
    window = {"start": parse_time(start, "--from"), "cutoff": parse_time(cutoff, "--to")}
    url = database_url()
    with steps(quiet=as_json) as step:
        result = train(url, settings(), **window, rule=rule, progress=step)
    if as_json:
        print_json(_training_document(result))
        return
    _print_training(result)
    next_steps(f"rowguard deploy {result.version}")


def models(as_json: Json = False) -> None:
    """The registry: every version, newest first."""
    from rowguard.database import connect
    from sql_scoring.registry import list_models

    with connect(database_url()) as connection:
        found = list_models(connection)
    if as_json:
        print_json(
            [
                {
                    "version": model.version,
                    "state": model.state,
                    "state_reason": model.state_reason,
                    "trained_at": model.trained_at,
                    "train_from": model.train_from,
                    "train_to": model.train_to,
                    "label_cutoff": model.label_cutoff,
                    "rows": model.row_count,
                    "frauds": model.fraud_count,
                    "metrics": dict(model.metrics),
                    "threshold": model.threshold,
                    "threshold_rule": model.threshold_rule,
                    "trees": model.tree_count,
                    "nodes": model.node_count,
                    "sql_bytes": model.sql_bytes,
                    "feature_hash": model.feature_hash,
                    "deployed_at": model.deployed_at,
                    "deployed_by": model.deployed_by,
                    "canary_percent": model.canary_percent,
                }
                for model in found
            ]
        )
        return
    if not found:
        out.print("no model yet")
        next_steps("rowguard retrain")
        return
    columns = [
        "version",
        "state",
        "trained (UTC)",
        "on",
        "rows",
        "frauds",
        "AUC",
        "AP",
        "threshold",
        "nodes",
        "kB",
    ]
    out.print(
        table(
            columns,
            [
                (
                    model.version,
                    model.state,
                    model.trained_at,
                    f"{model.train_from:%Y-%m-%d} … {model.train_to:%Y-%m-%d}",
                    model.row_count,
                    model.fraud_count,
                    model.metrics["auc"],
                    model.metrics["average_precision"],
                    model.threshold,
                    model.node_count,
                    model.sql_bytes // 1000,
                )
                for model in found
            ],
        )
    )


def retrain(start: From = None, cutoff: To = None, as_json: Json = False) -> None:
    """Features, train, deploy: what the nightly DAG does, as one command."""
    from trainer.retrain import retrain
    from rowguard.settings import settings

    window = {"start": parse_time(start, "--from"), "cutoff": parse_time(cutoff, "--to")}
    url = database_url()
    with steps(quiet=as_json) as step:
        done = retrain(url, settings(), **window, progress=step)
    if as_json:
        document = _training_document(done.training)
        document["deployment"] = deployment_document(done.deployment) if done.deployment else None
        print_json(document)
        return
    _print_training(done.training)
    if done.deployment:
        print_deployment(done.deployment)
    else:
        out.print(f"{done.training.version} is the champion already: the same data give the same model")
    next_steps("rowguard simulate --live      watch it decide", "rowguard models               the registry")


def _rule(alert_budget: float | None, false_alarm: float | None, missed_fraud: float | None) -> Any:
    from trainer.evaluation import AlertBudget, ExpectedCost

    if (false_alarm is None) != (missed_fraud is None):
        raise typer.BadParameter("--false-alarm-cost and --missed-fraud-cost go together")
    if false_alarm is not None and missed_fraud is not None:
        if alert_budget is not None:
            raise typer.BadParameter("give either --alert-budget or the two costs")
        return ExpectedCost(false_alarm, missed_fraud)
    return AlertBudget(alert_budget) if alert_budget is not None else None


def _training_document(result: TrainingResult) -> dict[str, Any]:
    return {
        "version": result.version,
        "is_new": result.is_new,
        "rows": result.record.row_count,
        "frauds": result.record.fraud_count,
        "metrics": result.evaluation.as_dict(),
        "threshold": result.threshold,
        "threshold_rule": result.record.threshold_rule,
        "trees": result.record.tree_count,
        "nodes": result.record.node_count,
        "sql_bytes": result.record.sql_bytes,
        "model_card": str(result.card),
    }


def _print_training(result: TrainingResult) -> None:
    metrics = result.evaluation
    rows = [
        ("trained on", f"{result.record.row_count:,} rows, {result.record.fraud_count:,} frauds"),
        ("evaluated on", f"{metrics.rows:,} later rows, {metrics.frauds:,} frauds"),
        ("ROC AUC", f"{metrics.auc:.4f}"),
        ("average precision", f"{metrics.average_precision:.4f}"),
        ("threshold", f"{result.threshold:.4f}  ({result.record.threshold_rule})"),
        ("precision there", "–" if metrics.precision is None else f"{metrics.precision:.3f}"),
        ("recall there", f"{metrics.recall:.3f}"),
        ("confusion", f"{metrics.true_positives:,} caught, {metrics.false_negatives:,} missed, "
                      f"{metrics.false_positives:,} false alarms, {metrics.true_negatives:,} passed"),
        ("forest", f"{result.record.tree_count} trees, {result.record.node_count:,} nodes, "
                   f"{result.record.sql_bytes / 1e6:.1f} MB of SQL"),
        ("model card", str(result.card)),
    ]  # fmt: skip
    out.print(table(["", result.version], rows))
