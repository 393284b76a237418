"""The functions that callers know, bound to the models of the moment. Pure: no database, no files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from psycopg import sql

from rowguard.sql_files import read_sql
from sql_scoring.registry import ModelRecord
from sql_scoring.schema_files import SQL_DIR

TEMPLATES = Path(__file__).parent.parent / "templates"
CANARY_SLOTS = 65_536


def facade(model: ModelRecord | None, challenger: ModelRecord | None = None) -> str:
    """The two functions that callers know, bound to a model, or as they are before any.

    A challenger with a canary decides for its share of users; when it fails, the champion does.
    """
    if model is None:
        functions = SQL_DIR / "functions"
        return read_sql(functions, "score_candidate") + "\n" + read_sql(functions, "score_basic")
    canary = ""
    if challenger is not None and challenger.canary_percent:
        canary = read_sql(TEMPLATES, "canary").format(**_names(challenger), slots=canary_slots(challenger))
    return read_sql(TEMPLATES, "facade").format(**_names(model), canary=canary)


def insert_facade(
    model: ModelRecord | None,
    challenger: ModelRecord | None = None,
    *,
    insert_features: frozenset[str] | None = None,
) -> str:
    """The function that the trigger calls: bound like `facade`, where each list has a function for it, else by way of
    that facade.

    Beside a challenger that way is a form of its own, which says that the second opinion is of this revision too:
    older ones' drop the mark of a row that is let through, so beside the plain form nothing is let through.

    Args:
        insert_features: hashes of the feature lists that have `features.insert_feature_values_<hash>`; None asks for
            the plain form, which fits whatever older revisions put in the place of facade and second opinion.
    """
    if model is None or insert_features is None:
        return read_sql(SQL_DIR / "functions", "decide_insert")
    canary = challenger if challenger is not None and challenger.canary_percent else None
    deciding = [one for one in (model, canary) if one is not None]
    if not {one.feature_hash for one in deciding} <= insert_features:
        if challenger is None:
            return read_sql(SQL_DIR / "functions", "decide_insert")
        return read_sql(TEMPLATES, "decide_insert_by_candidate").format(version=model.version)
    share = ""
    if canary is not None:
        share = read_sql(TEMPLATES, "canary_insert").format(**_names(canary), slots=canary_slots(canary))
    return read_sql(TEMPLATES, "decide_insert").format(
        **_names(model),
        canary=share,
        second_opinion="" if challenger is None else "    v.has_second_opinion := true;\n",
    )


def shadow(champion: ModelRecord | None, challenger: ModelRecord | None) -> str:
    """The trigger function that puts the other model's score on the row, or none without a challenger."""
    if champion is None or challenger is None:
        return read_sql(SQL_DIR / "functions", "shadow_on_insert")
    return read_sql(TEMPLATES, "shadow").format(
        champion_literal=literal(champion.version),
        challenger_literal=literal(challenger.version),
        by_champion=_opinion(champion, challenger),
        by_challenger=_opinion(challenger, champion),
    )


def canary_slots(challenger: ModelRecord) -> int:
    """How many of the 65,536 hash values of a user the challenger decides; at least one above 0 percent."""
    percent = challenger.canary_percent or 0.0
    return max(1, round(percent / 100 * CANARY_SLOTS)) if percent > 0 else 0


def literal(value: Any) -> str:
    """A value as SQL text, quoted by the driver."""
    return sql.Literal(value).as_string(None).strip()


def _opinion(model: ModelRecord, decider: ModelRecord) -> str:
    """Statements that put the model's score on a row that `decider` decided."""
    if model.feature_hash == decider.feature_hash:
        return read_sql(TEMPLATES, "shadow_same_features").format(**_names(model)).rstrip()
    return read_sql(TEMPLATES, "shadow_own_features").format(**_names(model)).rstrip()


def _names(model: ModelRecord) -> dict[str, Any]:
    return {
        "version": model.version,
        "version_literal": literal(model.version),
        "feature_hash8": model.feature_hash[:8],
        "function_name": model.function_name,
        "threshold": literal(repr(model.threshold)),
    }
