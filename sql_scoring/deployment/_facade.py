"""Renders the functions that callers know, bound to the deployed models. Pure: no database, no files."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from psycopg import sql

from sql_scoring.registry import ModelRecord
from sql_scoring.schema_files import read_schema_file
from sql_scoring.scores import compose_probability, decision_cut

CANARY_BUCKETS = 65_536


def render(template: str, **values: object) -> str:
    """Return the text of `templates/<template>` with its fields filled."""
    return _read_template(template).format(**values)


def literal(value: Any) -> str:
    """Return a value as SQL text, quoted by the driver."""
    return sql.Literal(value).as_string(None).strip()


@cache
def _read_template(name: str) -> str:
    return files("sql_scoring").joinpath("templates", name).read_text(encoding="utf-8")


@dataclass(frozen=True)
class DeploymentState:
    """The champion, and the challenger with its `canary_percent`; None where there is none."""

    champion: ModelRecord | None
    challenger: ModelRecord | None = None

    def models_by_state(self) -> dict[str, ModelRecord]:
        """Return the deployed models by their state in the registry, the challenger first."""
        models = {"challenger": self.challenger, "champion": self.champion}
        return {state: model for state, model in models.items() if model is not None}


def render_facade(champion: ModelRecord, challenger: ModelRecord | None) -> str:
    """Render the two facade functions.

    A challenger with a canary decides for its fraction of users; when it fails, the champion does.
    """
    canary = shadow = ""
    if challenger is not None:
        shadow = "    d.needs_shadow_score := true;\n"
        if challenger.canary_percent:
            canary = render("canary.sql", **_names(challenger), buckets=canary_buckets(challenger))
    return render("facade.sql", **_names(champion), canary=canary, shadow=shadow)


def render_shadow_score(champion: ModelRecord, challenger: ModelRecord | None) -> str:
    """Render the function that adds the other model's score, or its first form without a challenger."""
    if challenger is None:
        return read_schema_file("functions/shadow_score.sql")
    shares_features = champion.feature_hash == challenger.feature_hash
    values: dict[str, str] = {}
    for role, model in (("champion", champion), ("challenger", challenger)):
        values |= {
            f"{role}_literal": literal(model.version),
            f"{role}_score": _shown(
                model, f"{model.function_name}(coalesce(s.feature_values, p_decision.feature_values))"
            ),
            f"{role}_features": "NULL"
            if shares_features
            else f"(features.live_feature_values_{model.feature_hash[:8]}(p_request)).feature_values",
        }
    return render("shadow.sql", **values)


def canary_buckets(challenger: ModelRecord) -> int:
    """Return how many of the 65,536 hash values of a user the challenger decides: at least one above 0 percent."""
    percent = challenger.canary_percent or 0.0
    return max(1, round(percent / 100 * CANARY_BUCKETS)) if percent > 0 else 0


def _names(model: ModelRecord) -> dict[str, Any]:
    return {
        "version": model.version,
        "version_literal": literal(model.version),
        "feature_hash8": model.feature_hash[:8],
        "function_name": model.function_name,
        "cut": literal(repr(decision_cut(model))),
        "shown": _shown_line(model, indent=4),
        "shown_by_canary": _shown_line(model, indent=16),
    }


def _shown(model: ModelRecord, value: str) -> str:
    """Text of the fraud probability that is stored for a value of the model's function."""
    return compose_probability(model, sql.SQL(value)).as_string(None)


def _shown_line(model: ModelRecord, *, indent: int) -> str:
    """The statement that turns a margin into the probability, none for a forest."""
    if model.margin_cut is None:
        return ""
    return f"{' ' * indent}d.fraud_probability := {_shown(model, 'd.fraud_probability')};\n"
