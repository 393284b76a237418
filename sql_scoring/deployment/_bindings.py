"""Whether what is deployed finds the functions that it calls, after a migration took some of them away."""

from __future__ import annotations

from rowguard.database import connect
from rowguard.queries import load_queries
from rowguard.sql_files import read_sql
from sql_scoring import registry
from sql_scoring.schema_files import SQL_DIR

QUERIES = load_queries("sql_scoring")


def bind_anew(url: str) -> tuple[str, ...]:
    """Make INSERTs be decided again where their feature function is gone, and answer in lines what is left to do.

    Taking back the schema revision that the functions for the trigger stand on drops them, and only those of the list
    that is built come back. A deployed model of another list is then decided by way of `scoring.score_candidate`,
    which asks the function that older releases know; the next revision binds whatever is there.
    """
    with connect(url) as connection:
        connection.execute(QUERIES["lock_deployments"])
        notes = []
        missing = registry.missing_feature_functions(connection)
        if "decide_insert" in missing and "score_candidate" not in missing:
            connection.execute(read_sql(SQL_DIR / "functions", "decide_insert").encode())
            notes.append(
                f"{missing.pop('decide_insert')[0]} is not built any more: INSERTs are decided by way of "
                "scoring.score_candidate, more slowly, until the next deploy or rollback"
            )
        notes += unbound(missing, "rowguard retrain")
        outdated = registry.outdated_challenger(connection)
        if outdated is not None:
            notes.append(str(outdated))
    return tuple(notes)


def unbound(missing: dict[str, list[str]], command: str) -> list[str]:
    """At most one line on what cannot be decided and which command mends it; see the registry's function."""
    called = sorted({name for names in missing.values() for name in names})
    if not called:
        return []
    what = "INSERTs stay without a decision" if "decide_insert" in missing else "not everything is decided"
    return [f"{what}: what is deployed calls {', '.join(called)}, which is not built here; run: {command}"]
