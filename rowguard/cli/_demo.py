"""demo: what `make demo` runs."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from statistics import median
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

SHOWN_ROWS = 8
DEMO_COLUMNS = {"merchant_id": 7, "location": "BR"}
QUERIES = load_queries("rowguard.cli")


def demo(
    count: Annotated[int, typer.Option(help="Number of live transactions.", min=1)] = 300,
    fraud_rate: Annotated[float, typer.Option(help="Fraction of frauds among them.")] = 0.08,
) -> None:
    """Run everything on the embedded server: history, features, model, live transactions, one HTTP call.

    An existing history and model are used again, so a second run is fast.

    Example: rowguard demo --count 500
    """
    from rowguard.declaration import declared
    from rowguard.errors import SettingsError
    from rowguard.settings import settings
    from simulator import SimulationConfig
    from simulator.user_keys import user_key

    config = settings()
    if config.database_url is not None:
        raise SettingsError("the demo uses the embedded server only; unset DATABASE_URL")
    started = time.monotonic()
    world = SimulationConfig(user_id_type=declared().keys.user_id)
    local = local_stack()
    local.check_api_port(config)
    out.print("[bold]1  Database, history, features, model[/bold]")
    url = _prepare(config, world)
    out.print("\n[bold]2  Live transactions, one INSERT each, decided in the same transaction[/bold]")
    application_url = local.ensure_login(config, "rowguard_app_local", "rowguard_app")
    _print_decisions(_insert(url, application_url, world, count, fraud_rate))
    out.print("[bold]3  The same scoring request over HTTP and in SQL[/bold]")
    api_url = local.up(config, api=True).api_url
    assert api_url is not None
    _score_twice(api_url, url)
    out.print(f"\n[dim]{time.monotonic() - started:.0f} s in total[/dim]")
    key_type = declared().keys.user_id
    user = "42" if key_type == "bigint" else f"'{user_key(42, key_type)}'"
    next_steps(
        (f"open {_console_url(config, api_url)}", "the console, which keeps running"),
        ("rowguard console", "another link to it, for any role"),
        (f"open {api_url}/docs", "every HTTP call, to try"),
        ("rowguard psql", "a SQL prompt; try:"),
        "    INSERT INTO transactions (user_id, amount)",
        f"    VALUES ({user}, 999)",
        "    RETURNING fraud_flag, fraud_probability;",
        ("rowguard models", "the registry"),
        ("rowguard simulate --live", "more live transactions"),
        ("rowguard retrain", "the nightly run: a better model replaces the champion"),
        ("rowguard down", "stop everything"),
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


def _insert(
    url: str, application_url: str, world: SimulationConfig, count: int, fraud_rate: float
) -> LiveSummary:
    from rowguard.settings import settings
    from simulator.marks import insert_marked

    delay = timedelta(days=settings().label_delay_days)
    with bar("inserting", count) as advance:
        return insert_marked(
            url,
            world,
            fraud_rate,
            count,
            label_delay=delay,
            application_url=application_url,
            on_row=lambda: advance(1),
        )


def _print_decisions(summary: LiveSummary) -> None:
    ranked = sorted(summary.decisions, key=lambda decision: -(decision.fraud_probability or 0.0))
    kinds = {
        "caught": [each for each in ranked if each.is_flagged and each.transaction.is_fraud],
        "missed": [each for each in ranked if not each.is_flagged and each.transaction.is_fraud],
        "false alarm": [each for each in ranked if each.is_flagged and not each.transaction.is_fraud],
    }
    rows = [_decision_row(kind, each) for kind, found in kinds.items() for each in found[:SHOWN_ROWS]]
    counts = ", ".join(f"{len(found)} × {kind}" for kind, found in kinds.items())
    print_table(
        rows, f"{len(summary.decisions)} transactions: {counts}; at most {SHOWN_ROWS} of each are shown"
    )
    metrics = summary.metrics() | {"median_ms": median(each.seconds * 1000 for each in summary.decisions)}
    names = [name for name in metrics if name not in ("rows", "unscored", "seconds")]
    print_table([{name.replace("_", " "): metrics[name] for name in names}])


def _decision_row(kind: str, decision: LiveDecision) -> dict[str, Any]:
    transaction = decision.transaction
    return {
        "decision": kind,
        "label": transaction.scenario if transaction.is_fraud else "legitimate",
        "fraud probability": decision.fraud_probability,
        "amount": f"{transaction.amount:>10,.2f}",
        "in": transaction.location,
        "user": str(transaction.user_id),
        "transaction": str(decision.transaction_id),
    }


def _score_twice(api_url: str, database_url: str) -> None:
    import urllib.request

    from rowguard.database import connect
    from rowguard.declaration import declared
    from rowguard.slots import fill_slots
    from simulator.user_keys import user_key

    # With a time both callers send the same scoring request.
    scoring_request = {
        "user_id": str(user_key(42, declared().keys.user_id)),
        "amount": 2450.00,
        **dict.fromkeys(declared().columns),
        **{name: value for name, value in DEMO_COLUMNS.items() if name in declared().columns},
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
        query = fill_slots(QUERIES["score_transaction"], declared())
        in_sql = connection.execute(query.encode(), scoring_request).fetchone()
    assert in_sql is not None
    scores = {
        "POST /predict": (over_http["fraud_probability"], over_http["flag"]),
        "score_transaction": in_sql,
    }
    print_table(
        [
            {"caller": caller, "fraud probability": repr(probability), "flag": flag}
            for caller, (probability, flag) in scores.items()
        ]
    )


def _console_url(config: Settings, api_url: str) -> str:
    """The console's address, with a token where users do not log in at a provider."""
    from rowguard.cli._console import console_link

    return (
        f"{api_url}/console"
        if config.oidc_issuer
        else console_link(config, "demo", ["administrator"], 8 * 3600)
    )


def _authorization() -> dict[str, str]:
    """Return a token where the API requires one that we can sign; the open loopback requires none."""
    from api.tokens import mint, read_secret
    from rowguard.settings import settings

    if read_secret(settings()) is None:
        return {}
    return {"Authorization": f"Bearer {mint(settings(), 'demo', ['predict'], 60)}"}
