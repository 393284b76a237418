"""What to try next, by the state of the database."""

from __future__ import annotations

from rowguard.cli._output import next_steps
from rowguard.queries import load_queries

QUERIES = load_queries("rowguard.cli")


def print_next(url: str, *first: tuple[str, str]) -> None:
    """Print the commands that make sense in the current state.

    Args:
        url: Address of the database.
        first: Commands that follow from what was just done, with their purposes.
    """
    next_steps(*first, *_by_state(url))


def _by_state(url: str) -> list[tuple[str, str]]:
    from rowguard.database import connect, fetch_one
    from rowguard.operations.simulated_rows import has_real_rows
    from rowguard.settings import settings
    from sql_scoring import registry

    with connect(url) as connection:
        if not registry.has_schema(connection):
            return [("rowguard migrate", "schema, features, models")]
        has_transactions, has_unscored = fetch_one(connection, QUERIES["database_state"])
        may_simulate = settings().database_url is None and not has_real_rows(connection)
        if not has_transactions:
            load = [("rowguard import FILE", "load your own history")]
            return load + [("rowguard simulate", "or a history with fraud scenarios")] * may_simulate
        history = registry.champion_history(connection)
        if history.current is None:
            return [("rowguard retrain", "features, model, gates, deploy")]
        steps = [("rowguard psql", "a SQL prompt: INSERT INTO transactions …")]
        steps += [("rowguard simulate --live", "live transactions, decided as they come")] * may_simulate
        if has_unscored:
            steps.append(("rowguard unscored", "transactions without a decision, and why"))
        if registry.challenger_version(connection):
            steps.append(("rowguard promote", "make the challenger champion; or: rowguard retire-challenger"))
        if history.position > 0:
            steps.append(("rowguard rollback", f"back to {history.versions[history.position - 1]}"))
        return [*steps, ("rowguard monitor", "drift and alert rate of the last days")]
