"""Fills the slots of the schema's files with the columns that features.yml declares.

A slot is a comment, so that each file is valid SQL without any declared column:
`/* for each column: , NEW.{name} */` gives its text once per column. `bigint /* key type */` is the type of user_id.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator

from psycopg import sql

from rowguard.declaration import Column, Declaration, Reference

SLOT = re.compile(
    r"(?m)(^ *)?( ?)/\* for each (column|reference column|reference|domain|serialized entity): (.*?) \*/",
    re.DOTALL,
)


def fill_slots(text: str, declaration: Declaration) -> str:
    """Return the text of a schema file for a declaration.

    Args:
        text: With slots.
        declaration: The columns, references and the type of user_id.
    """
    key = declaration.keys.user_id
    text = text.replace("bigint /* key type */", key)
    hashed = "p_user_id" if key == "bigint" else "hashtextextended(p_user_id::text, 0)"
    text = text.replace("p_user_id /* as bigint */", hashed)
    items = {
        "column": [_column_fields(name, column) for name, column in declaration.columns.items()],
        "reference column": [
            {"name": name, "type": column.type} for _, _, name, column in declaration.reference_columns()
        ],
        "reference": [_reference_fields(table, declaration) for table in declaration.references],
        "serialized entity": [
            {
                "name": name,
                "new_key": entity_lock_key(name, columns, "NEW"),
                "q_key": entity_lock_key(name, columns, "q"),
            }
            for name, columns in declaration.serialized_entities().items()
        ],
        "domain": [{"create_domain": statement} for _, statement in create_domains(declaration)],
    }

    def fill(slot: re.Match[str]) -> str:
        margin, _, kind, template = slot.groups()
        filled = [template.format(**fields) for fields in items[kind]]
        if kind in ("reference", "domain"):
            return "\n\n".join(filled)
        if margin is not None:
            return margin + f"\n{margin}".join(filled)
        space = "" if template.startswith(",") else " "
        return slot[2] * bool(space) + space.join(filled)

    return SLOT.sub(fill, text)


def stored_type(name: str, column: Column) -> str:
    """Return the SQL type of a column in its table: a domain where its values have a rule.

    Args:
        name: The column.
        column: Its type and rules.
    """
    return f"scoring.{name}_value" if rule(name, column) else column.type


def rule(name: str, column: Column) -> str | None:
    """Return the CHECK of a column's domain; None where every value of its type is allowed.

    Args:
        name: The column, for messages.
        column: Its type, length and allowed values.
    """
    if column.allowed is not None:
        values = ", ".join(sql.Literal(value).as_string(None).strip() for value in column.allowed)
        reason = "is not one of " + ", ".join(map(str, column.allowed))
        condition = f"VALUE IN ({values})"
    elif column.type == "text":
        reason = f"has more than {column.length} characters, or control characters"
        condition = f"(length(VALUE) <= {column.length} AND VALUE !~ '[\\u0001-\\u001F\\u007F-\\u009F]')"
    else:
        return None
    literal = sql.Literal(reason).as_string(None).strip()
    # Of constants alone PostgreSQL would call the function while it plans.
    value = "left(VALUE::text, 0) || '(personal data)'" if column.personal else "VALUE::text"
    return f"{condition}\n    OR scoring.reject_value('{name}', {value}, {literal})"


def create_domains(declaration: Declaration) -> Iterator[tuple[str, str]]:
    """Yield column and CREATE DOMAIN of each column whose values have a rule."""
    columns: dict[str, Column] = dict(declaration.columns)
    columns |= {name: column for _, _, name, column in declaration.reference_columns()}
    for name, column in columns.items():
        if check := rule(name, column):
            yield (
                name,
                (
                    f"CREATE DOMAIN scoring.{name}_value AS {column.type}"
                    f" CONSTRAINT {name}_valid CHECK (\n    {check}\n);\n\n"
                    f"COMMENT ON DOMAIN scoring.{name}_value IS '{rule_digest(check)}';"
                ),
            )


def rule_digest(check: str) -> str:
    """Return what the comment on a domain holds: PostgreSQL rewrites the text of a CHECK."""
    return f"rule {hashlib.md5(check.encode(), usedforsecurity=False).hexdigest()}"


def entity_lock_key(name: str, columns: Iterable[str], row: str) -> str:
    """Return the SQL of the key of an entity's advisory lock; NULL where the row has no such entity.

    Args:
        name: The entity.
        columns: Its columns.
        row: Where they are.
    """
    values = " || ' ' || ".join(f"{row}.{column}::text" for column in columns)
    return f"hashtextextended('{name} ' || {values}, 8245940728973324900)"


def _column_fields(name: str, column: Column) -> dict[str, str]:
    unusual = {
        "text": "''",
        "boolean": "false",
        "timestamptz": "'epoch'",
        "inet": "'0.0.0.0'",
        "uuid": "gen_random_uuid()",
    }
    return {
        "name": name,
        "type": column.type,
        "stored_type": stored_type(name, column),
        "unusual_value": f"{unusual.get(column.type, '0')}::{column.type}",
    }


def _reference_fields(table: str, declaration: Declaration) -> dict[str, str]:
    reference = declaration.references[table]
    key_type = declaration.request_types()[reference.key]
    columns = ", ".join(reference.columns)
    return {
        "create_tables": _create_reference(table, reference, key_type),
        "create_triggers": _create_triggers(table, reference),
        "grants": (
            f"GRANT INSERT, SELECT ON public.{table} TO rowguard_app;\n\n"
            f"GRANT UPDATE ({columns}, updated_at) ON public.{table} TO rowguard_app;\n\n"
            f"GRANT SELECT ON public.{table} TO rowguard_trainer, rowguard_readonly;"
        ),
    }


def _create_reference(table: str, reference: Reference, key_type: str) -> str:
    stored = "".join(
        f"    {name} {stored_type(name, column)},\n" for name, column in reference.columns.items()
    )
    recorded = "".join(f"    {name} {column.type},\n" for name, column in reference.columns.items())
    return f"""-- {reference.description}
CREATE TABLE public.{table} (
    {reference.key} {key_type} NOT NULL,
{stored}    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT {table}_pkey PRIMARY KEY ({reference.key})
);

CREATE TABLE scoring.{table}_history (
    {reference.key} {key_type} NOT NULL,
    valid_from timestamptz NOT NULL,
{recorded}    CONSTRAINT {table}_history_pkey PRIMARY KEY ({reference.key}, valid_from)
);"""


def _create_triggers(table: str, reference: Reference) -> str:
    columns = ", ".join(reference.columns)
    old, new = (", ".join(f"{row}.{name}" for name in reference.columns) for row in ("OLD", "NEW"))
    call = f"EXECUTE FUNCTION scoring.record_reference_change('{reference.key}')"
    return f"""CREATE OR REPLACE TRIGGER record_change_insert
AFTER INSERT OR DELETE ON public.{table}
FOR EACH ROW
{call};

CREATE OR REPLACE TRIGGER record_change_update
AFTER UPDATE OF {columns} ON public.{table}
FOR EACH ROW
WHEN (ROW({old}) IS DISTINCT FROM ROW({new}))
{call};"""
