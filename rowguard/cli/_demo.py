"""demo: what `make demo` runs."""

from __future__ import annotations

import json
import time
import urllib.request
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rowguard.cli._data import load_simulated_history
from rowguard.cli._output import bar, next_steps, out, print_table, steps
from rowguard.cli._target import local_stack
from rowguard.queries import load_queries

if TYPE_CHECKING:
    from rowguard.settings import Settings
    from simulator import SimulationConfig
    from simulator.live import LiveDecision, LiveSummary

SHOWN_ROWS = 15
QUERIES = load_queries("rowguard.cli")


def demo(
    count: Annotated[int, typer.Option(help="Number of live transactions.", min=1)] = 300,
    fraud_rate: Annotated[float, typer.Option(help="Fraction of frauds among them.")] = 0.08,
) -> None:
    """Run everything on the embedded server: history, features, model, live transactions, one HTTP call.

    An existing history and model are used again, so a second run is fast.

    Example: rowguard demo --count 500
    """
    from rowguard.errors import SettingsError
    from rowguard.settings import settings
    from simulator import SimulationConfig

    config = settings()
    if config.database_url is not None:
        raise SettingsError("the demo uses the embedded server only; unset DATABASE_URL")
    started = time.monotonic()
    world = SimulationConfig()
    local = local_stack()
    local.check_api_port(config)
    out.print("[bold]1  Database, history, features, model[/bold]")
    url = _prepare(config, world)
    out.print("\n[bold]2  Live transactions, one INSERT each, decided in the same transaction[/bold]")
    application_url = local.ensure_login(config, "rowguard_app_local", "rowguard_app")
    _print_decisions(_insert(application_url, world, count, fraud_rate))
    out.print("[bold]3  The same scoring request over HTTP and in SQL[/bold]")
    api_url = local.up(config, api=True).api_url
    assert api_url is not None
    _score_twice(api_url, url)
    out.print(f"\n[dim]{time.monotonic() - started:.0f} s in total[/dim]")
    next_steps(
        f"open {api_url}/docs                every HTTP call, to try",
        "rowguard psql                      a SQL prompt; try:",
        "    INSERT INTO transactions (user_id, amount) VALUES (42, 999)",
        "    RETURNING fraud_flag, fraud_probability;",
        "rowguard models                    the registry",
        "rowguard simulate --live           more live transactions",
        "rowguard retrain                   the nightly run; then: rowguard rollback",
        "rowguard down                      stop everything",
        "In a checkout the program is .venv/bin/rowguard.",
    )


def _prepare(config: Settings, world: SimulationConfig) -> str:
    """Build everything up to a champion; return the direct URL."""
    from rowguard.database import connect
    from sql_scoring.deployment.migrate import migrate
    from sql_scoring.registry import champion_version, get_model
    from trainer.dataset import has_transactions, read_feature_list
    from trainer.retrain import retrain

    with steps() as step:
        step("starting PostgreSQL and PgBouncer")
        local_stack().up(config, api=False)
        url: str = local_stack().resolve_database_url(config)
        migrate(url, config, progress=step)
        with connect(url) as connection:
            has_history = has_transactions(connection)
            champion = champion_version(connection)
            built_hash = read_feature_list(connection).hash
            is_current = champion is not None and get_model(connection, champion).feature_hash == built_hash
        if not has_history:
            load_simulated_history(url, world, step)
        if not is_current:
            retrain(url, config, progress=step)
    return url


def _insert(url: str, world: SimulationConfig, count: int, fraud_rate: float) -> LiveSummary:
    from rowguard.database import connect
    from simulator import live_transactions
    from simulator.live import insert_live

    stream = live_transactions(world, fraud_rate=fraud_rate, count=count)
    with connect(url, autocommit=True) as connection, bar("inserting", count) as advance:
        # Through PgBouncer a prepared statement may be in another server connection.
        connection.prepare_threshold = None
        return insert_live(connection, stream, on_row=lambda decision: advance(1))


def _print_decisions(summary: LiveSummary) -> None:
    ranked = sorted(summary.decisions, key=lambda decision: -(decision.fraud_probability or 0.0))
    shown = [decision for decision in ranked if decision.is_flagged or decision.transaction.is_fraud]
    columns = ["transaction", "user", "amount", "from", "score", "flag", "label"]
    rows = [_decision_row(decision) for decision in shown[:SHOWN_ROWS]]
    print_table(columns, rows, f"alerts and frauds: {len(shown)} of {len(summary.decisions)}")
    milliseconds = sorted(decision.seconds * 1000 for decision in summary.decisions)
    metrics = summary.metrics() | {"median_ms": milliseconds[len(milliseconds) // 2]}
    names = [name for name in metrics if name not in ("rows", "unscored", "seconds")]
    print_table([name.replace("_", " ") for name in names], [[metrics[name] for name in names]])


def _decision_row(decision: LiveDecision) -> tuple[Any, ...]:
    transaction = decision.transaction
    return (
        str(decision.transaction_id),
        str(transaction.user_id),
        f"{transaction.amount:>10,.2f}",
        transaction.location,
        decision.fraud_probability,
        "FRAUD" if decision.is_flagged else "–",
        transaction.scenario if transaction.is_fraud else "legitimate",
    )


def _score_twice(api_url: str, database_url: str) -> None:
    from rowguard.database import connect

    # With a time both callers send the same scoring request.
    scoring_request = {
        "user_id": 42,
        "amount": 450.75,
        "merchant_id": 7,
        "location": "DE",
        "occurred_at": datetime.now(UTC).isoformat(),
    }
    request = urllib.request.Request(  # noqa: S310 - our own address
        f"{api_url}/predict",
        data=json.dumps(scoring_request).encode(),
        headers={"Content-Type": "application/json", **_authorization()},
    )
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310
        over_http = json.load(response)
    with connect(database_url) as connection:
        in_sql = connection.execute(QUERIES["score_transaction"], scoring_request).fetchone()
    assert in_sql is not None
    rows = [
        ("POST /predict", repr(over_http["fraud_probability"]), over_http["flag"]),
        ("score_transaction", repr(in_sql[0]), in_sql[1]),
    ]
    print_table(["caller", "fraud probability", "flag"], rows)


def _authorization() -> dict[str, str]:
    """Return a token where the API requires one that we can sign; the open loopback requires none."""
    from api.tokens import mint, read_secret
    from rowguard.settings import settings

    if read_secret(settings()) is None:
        return {}
    return {"Authorization": f"Bearer {mint(settings(), 'demo', ['predict'], 60)}"}
