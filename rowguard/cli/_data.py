"""import, simulate, features."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from rowguard.cli._output import Json, bar, err, next_steps, out, parse_time, print_json, steps, table
from rowguard.cli._target import database_url


def register(app: typer.Typer) -> None:
    app.command("import")(import_file)
    app.command()(simulate)
    app.command()(features)


def import_file(
    file: Annotated[Path, typer.Argument(help="Parquet or CSV.", show_default=False)],
    mapping: Annotated[
        list[str] | None, typer.Option("--map", help="Column of ours = column of the file; repeat it.")
    ] = None,
    ignore_unknown_columns: Annotated[bool, typer.Option(help="Skip columns that are not known.")] = False,
    labels: Annotated[bool, typer.Option(help="The file holds labels of stored transactions.")] = False,
    as_json: Json = False,
) -> None:
    """Load history: occurred_at, user_id, amount; optional merchant_id, location, transaction_id, is_fraud.

    All or nothing: a bad row is named by its line, and nothing is loaded. Rows are not scored.

    Example: rowguard import history.csv --map occurred_at=TX_DATETIME --map user_id=CUSTOMER_ID
    """
    from datetime import timedelta

    from rowguard.operations import importer as history
    from rowguard.settings import settings

    started = time.monotonic()
    read = history.read_labels if labels else history.read_history
    try:
        opened = read(file, column_mapping=_mapping(mapping), ignore_unknown=ignore_unknown_columns)
        url = database_url()
        # Parquet tells its rows beforehand, CSV only how far the file was read.
        known, shown = opened.rows is not None, [0.0]

        with bar("loading", opened.rows if known else 100, quiet=as_json) as advance:

            def on_rows(count: int) -> None:
                if known:
                    advance(count)
                else:
                    advance(100 * opened.fraction_read - shown[0])
                    shown[0] = 100 * opened.fraction_read

            if labels:
                result = history.LoadResult(0, history.load_labels(url, opened, source="import"), 0)
            else:
                result = history.load_history(
                    url,
                    opened,
                    label_delay=timedelta(days=settings().label_delay_days),
                    source="import",
                    on_rows=on_rows,
                    on_storing=None if as_json else lambda: err.print("  storing"),
                )
    except history.HistoryFileError as error:
        if error.problems and not as_json:
            rows = [(p.line, p.column, p.reason, p.value) for p in error.problems]
            err.print(table([error.unit, "column", "reason", "value"], rows))
        raise
    seconds = time.monotonic() - started
    if as_json:
        print_json(
            {
                "transactions": result.transactions,
                "labels": result.labels,
                "frauds": result.frauds,
                "ignored_columns": list(opened.ignored_columns),
                "seconds": seconds,
            }
        )
        return
    out.print(
        f"loaded {result.transactions:,} transactions and {result.labels:,} labels "
        f"({result.frauds:,} frauds) in {seconds:.1f} s"
    )
    next_steps("rowguard retrain      features, model, deploy")


def simulate(
    users: Annotated[int, typer.Option(help="Cardholders.")] = 2_000,
    merchants: Annotated[int, typer.Option(help="Merchants.")] = 1_000,
    days: Annotated[int, typer.Option(help="Length of the history, up to now.")] = 60,
    seed: Annotated[int, typer.Option(help="The same seed gives the same world.")] = 1,
    live: Annotated[bool, typer.Option("--live", help="Insert one by one, as an application would.")] = False,
    rate: Annotated[float | None, typer.Option(help="With --live: inserts a second.")] = None,
    count: Annotated[int, typer.Option(help="With --live: how many.")] = 300,
    fraud_share: Annotated[float, typer.Option(help="With --live: share of frauds.")] = 0.05,
    end: Annotated[str | None, typer.Option(help="End of the history; now if not given.")] = None,
    as_json: Json = False,
) -> None:
    """Make realistic transactions with fraud scenarios: a history by COPY, or a live stream by INSERT.

    Example: rowguard simulate --users 5000 --days 90, then: rowguard simulate --live --count 300 --rate 50
    """
    from simulator import SimulationConfig

    config = SimulationConfig(
        users=users, merchants=merchants, days=days, seed=seed, end=parse_time(end, "--end")
    )
    if live:
        _simulate_live(config, rate, count, fraud_share, as_json)
    else:
        _simulate_history(config, as_json)


def features(
    full_refresh: Annotated[bool, typer.Option(help="Build from nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Build the features with dbt: views, live function, training set, tests."""
    from rowguard.settings import settings
    from sql_scoring.features.build import build_features

    url = database_url()
    with steps(quiet=as_json) as step:
        step("dbt build")
        built = build_features(url, settings(), full_refresh=full_refresh, progress=step)
    if as_json:
        print_json({"passed": built.passed, "skipped": built.skipped, "seconds": built.seconds})
        return
    out.print(f"{built.passed} dbt nodes passed in {built.seconds:.1f} s")
    next_steps("rowguard train        fit a candidate", "rowguard retrain      all of it")


def _simulate_history(config: object, as_json: bool) -> None:
    from datetime import timedelta

    from rowguard.operations.importer import load_history, load_users
    from rowguard.settings import settings
    from simulator import SimulationConfig
    from simulator import simulate as generate

    assert isinstance(config, SimulationConfig)
    url = database_url()
    with steps(quiet=as_json) as step:
        step("simulating")
        world = generate(config)
        step(f"loading {len(world.users):,} users and {len(world.transactions):,} transactions")
        load_users(url, world.users)
        # Ids come from the database's sequence: a second simulation does not collide with the first.
        rows = world.transactions.drop_columns(["transaction_id", "scenario"])
        result = load_history(
            url,
            rows.to_batches(65_536),
            label_delay=timedelta(days=settings().label_delay_days),
            source="simulator",
        )
    if as_json:
        print_json(
            {
                "users": len(world.users),
                "merchants": len(world.merchants),
                "transactions": result.transactions,
                "frauds": result.frauds,
            }
        )
        return
    out.print(
        f"{result.transactions:,} transactions of {len(world.users):,} users at {len(world.merchants):,} "
        f"merchants, {result.frauds:,} frauds"
    )
    next_steps("rowguard retrain                     features, model, deploy")


def _simulate_live(config: object, rate: float | None, count: int, fraud_share: float, as_json: bool) -> None:
    from rowguard.database import connect
    from simulator import SimulationConfig, live_transactions
    from simulator.live import insert_live

    assert isinstance(config, SimulationConfig)
    url = database_url()
    stream = live_transactions(config, fraud_rate=fraud_share, count=count)
    with connect(url, autocommit=True) as connection, bar("inserting", count, quiet=as_json) as advance:
        summary = insert_live(connection, stream, rate=rate, on_row=lambda decision: advance(1))
    document = {
        "rows": summary.rows,
        "true_positives": summary.true_positives,
        "false_negatives": summary.false_negatives,
        "false_positives": summary.false_positives,
        "unscored": summary.unscored,
        "precision": summary.precision,
        "recall": summary.recall,
        "seconds": summary.seconds,
    }
    if as_json:
        print_json(document)
    else:
        out.print(table(list(document), [list(document.values())]))


def _mapping(given: list[str] | None) -> dict[str, str]:
    result = {}
    for pair in given or []:
        ours, equals, theirs = pair.partition("=")
        if not (ours and equals and theirs):
            raise typer.BadParameter(f"{pair!r} is not of the form OURS=THEIRS", param_hint="--map")
        result[ours.strip()] = theirs.strip()
    return result
