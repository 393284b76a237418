"""demo: what `make demo` runs."""

from __future__ import annotations

import json
import time
import urllib.request
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowguard.cli._output import bar, next_steps, out, steps, table
from rowguard.queries import load_queries

if TYPE_CHECKING:
    from simulator.live import LiveDecision, LiveSummary

SHOWN_ROWS = 15
# An instant is named, so that both callers ask the very same question.
RAW_TRANSACTION = {
    "user_id": 42,
    "amount": 450.75,
    "merchant_id": 7,
    "location": "DE",
    "occurred_at": datetime.now(UTC).isoformat(),
}
QUERIES = load_queries("rowguard.cli")


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    count: Annotated[int, typer.Option(help="Live transactions to insert.", min=1)] = 300,
    fraud_share: Annotated[float, typer.Option(help="Share of frauds among them.")] = 0.08,
) -> None:
    """The whole way on the embedded server: history, features, model, live transactions, one HTTP call.

    What is there already is kept: a second run trains nothing and is quick.
    """
    from rowguard import local
    from rowguard.errors import SettingsError
    from rowguard.settings import settings
    from simulator import SimulationConfig

    chosen = settings()
    if chosen.database_url is not None:
        raise SettingsError("the demo uses the embedded server only; unset DATABASE_URL")
    started = time.monotonic()
    config = SimulationConfig()
    out.print("[bold]1  Database, history, features, model[/bold]")
    url = _prepare(config)
    out.print("\n[bold]2  Live transactions, one INSERT each, decided on the way in[/bold]")
    application_url = local.ensure_login(chosen, "rowguard_app_local", "rowguard_app")
    summary = _insert(application_url, config, count, fraud_share)
    _show_decisions(summary)
    out.print("[bold]3  The same question over HTTP and in SQL[/bold]")
    api_url = local.up(chosen, api=True).api_url
    assert api_url is not None
    _ask_twice(api_url, url)
    out.print(f"\n[dim]{time.monotonic() - started:.0f} s in all[/dim]")
    next_steps(
        f"open {api_url}/docs                          every HTTP call, to try",
        ".venv/bin/rowguard psql                      a SQL prompt; try:",
        "    INSERT INTO transactions (user_id, amount) VALUES (42, 999)",
        "    RETURNING fraud_flag, fraud_probability;",
        ".venv/bin/rowguard models                    the registry",
        ".venv/bin/rowguard simulate --live           more live transactions",
        ".venv/bin/rowguard retrain                   the nightly run; then: .venv/bin/rowguard rollback",
        ".venv/bin/rowguard down                      stop everything",
    )


def _prepare(config: Any) -> str:
    """Everything up to a champion; answers the direct URL."""
    from rowguard import local
    from trainer.lifecycle import migrate
    from trainer.retrain import retrain
    from rowguard.database import connect
    from rowguard.errors import TrainingDataError
    from rowguard.settings import settings
    from sql_scoring.registry import champion_version, get_model
    from trainer.dataset import read_feature_list, read_time_range

    chosen = settings()
    with steps() as step:
        step("starting PostgreSQL and PgBouncer")
        local.up(chosen, api=False)
        url = local.resolve_database_url(chosen)
        migrate(url, chosen, progress=step)
        with connect(url) as connection:
            try:
                read_time_range(connection)
                has_history = True
            except TrainingDataError:
                has_history = False
        if not has_history:
            _load_history(url, config, step)
        with connect(url) as connection:
            champion = champion_version(connection)
            is_current = (
                champion is not None
                and get_model(connection, champion).feature_hash == read_feature_list(connection).hash
            )
        if not is_current:
            retrain(url, chosen, progress=step)
    return url


def _load_history(url: str, config: Any, step: Any) -> None:
    from datetime import timedelta

    from rowguard.operations.importer import load_history, load_users
    from rowguard.settings import settings
    from simulator import simulate

    step("simulating a history")
    world = simulate(config)
    step(f"loading {len(world.transactions):,} transactions of {len(world.users):,} users")
    load_users(url, world.users)
    load_history(
        url,
        world.transactions.drop_columns(["transaction_id", "scenario"]).to_batches(65_536),
        label_delay=timedelta(days=settings().label_delay_days),
        source="simulator",
    )


def _insert(url: str, config: Any, count: int, fraud_share: float) -> LiveSummary:
    from rowguard.database import connect
    from simulator import live_transactions
    from simulator.live import insert_live

    stream = live_transactions(config, fraud_share=fraud_share, count=count)
    with connect(url, autocommit=True) as connection, bar("inserting", count) as advance:
        # Through PgBouncer a prepared statement would be looked for in another connection.
        connection.prepare_threshold = None
        return insert_live(connection, stream, on_row=lambda decision: advance(1))


def _show_decisions(summary: LiveSummary) -> None:
    ranked = sorted(summary.decisions, key=lambda one: -(one.fraud_probability or 0.0))
    worth_seeing = [one for one in ranked if one.is_flagged or one.transaction.is_fraud]
    rows = [_row(one) for one in worth_seeing[:SHOWN_ROWS]]
    columns = ["transaction", "user", "amount", "from", "score", "flag", "truth"]
    out.print(table(columns, rows, title=f"flagged or fraudulent: {len(worth_seeing)} of {summary.rows}"))
    milliseconds = sorted(one.seconds * 1000 for one in summary.decisions)
    out.print(
        table(
            ["caught", "missed", "false alarms", "passed", "precision", "recall", "median ms"],
            [(
                summary.frauds_flagged,
                summary.frauds_missed,
                summary.false_alarms,
                summary.rightly_passed,
                summary.precision,
                summary.recall,
                milliseconds[len(milliseconds) // 2],
            )],
        )
    )  # fmt: skip


def _row(one: LiveDecision) -> tuple[Any, ...]:
    return (
        str(one.transaction_id),
        str(one.transaction.user_id),
        f"{one.transaction.amount:>10,.2f}",
        one.transaction.location,
        one.fraud_probability,
        "FRAUD" if one.is_flagged else "–",
        one.transaction.scenario if one.transaction.is_fraud else "legitimate",
    )


def _ask_twice(api_url: str, database_url: str) -> None:
    from rowguard.database import connect

    request = urllib.request.Request(  # noqa: S310 - our own address
        f"{api_url}/predict",
        data=json.dumps(RAW_TRANSACTION).encode(),
        headers={"Content-Type": "application/json", **_authorization()},
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        answer = json.load(response)
    with connect(database_url) as connection:
        row = connection.execute(QUERIES["score_transaction"], RAW_TRANSACTION).fetchone()
    assert row is not None
    rows = [
        ("POST /predict", answer["fraud_probability"], answer["flag"]),
        ("score_transaction", row[0], row[1]),
    ]
    out.print(table(["asked by", "fraud probability", "flag"], [(n, repr(p), f) for n, p, f in rows]))


def _authorization() -> dict[str, str]:
    """A token where the API asks for one that we can sign; the open loopback asks for none."""
    from api.tokens import mint, read_secret
    from rowguard.settings import settings

    if read_secret(settings()) is None:
        return {}
    return {"Authorization": f"Bearer {mint(settings(), 'demo', ['predict'], 60)}"}
