"""The type of user_id in a run of the tests: TEST_USER_ID_TYPE is bigint, uuid or text.

The tests name users by numbers. Databases of the other types get what their statements need: casts from a number to a
UUID, or a comparison of a text with a number. They lead from a number to a key only, and rowguard itself never has a
user's number: what it declares or compares as bigint still fails.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Any, cast

import psycopg

from rowguard.declaration import KeyType
from rowguard.resources import dbt_project
from simulator.user_keys import user_key

USER_ID_TYPE = cast(KeyType, os.environ.get("TEST_USER_ID_TYPE") or "bigint")
# Once, and for each type of number.
_STATEMENTS = {
    "uuid": """
CREATE FUNCTION test_keys.uuid_of({0}) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT
RETURN lpad(to_hex($1::bigint), 32, '0')::uuid;
CREATE CAST ({0} AS uuid) WITH FUNCTION test_keys.uuid_of({0}) AS IMPLICIT;
""",
    # No implicit cast: with it `number || 'text'` would be ambiguous.
    "text": """
CREATE FUNCTION test_keys.equals(text, {0}) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT RETURN $1 = $2::text;
CREATE OPERATOR public.= (LEFTARG = text, RIGHTARG = {0}, FUNCTION = test_keys.equals);
""",
}

_TEXT_AS_NUMBER = """
CREATE FUNCTION test_keys."{1}"(text, {0}) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT RETURN $1::bigint {1} $2;
CREATE OPERATOR public.{1} (LEFTARG = text, RIGHTARG = {0}, FUNCTION = test_keys."{1}");
"""


def user(number: int) -> Any:
    """Return the id of a user as the driver reads it."""
    return user_key(number, USER_ID_TYPE)


def in_json(value: Any) -> Any:
    """Return a JSON value with the users that it names by number under their ids."""
    if USER_ID_TYPE == "bigint":
        return value
    if isinstance(value, list):
        return [in_json(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: str(user(item)) if name == "user_id" and type(item) is int else in_json(item)
        for name, item in value.items()
    }


def in_path(path: str) -> str:
    """Return a path of the API with the user that it names by number under its id."""
    return re.sub(r"(?<=/transactions/)\d+(?=/)", lambda number: str(user(int(number[0]))), path)


def with_key_type(text: str) -> str:
    """Return the text of a features.yml with the type of this run."""
    if USER_ID_TYPE == "bigint":
        return text
    for written in ("keys:\n  user_id: bigint\n", "keys: {user_id: bigint}\n"):
        text = text.replace(written, "")
    return text + f"\nkeys: {{user_id: {USER_ID_TYPE}}}\n"


def features_of_this_run() -> Path | None:
    """Write the features.yml of this run; None for the one that ships."""
    if USER_ID_TYPE == "bigint":
        return None
    path = Path(tempfile.mkdtemp(prefix="rowguard-keys-")) / "features.yml"
    path.write_text(with_key_type((dbt_project() / "features.yml").read_text()))
    return path


def let_numbers_name_users(url: str) -> None:
    """Let the statements of tests name users by numbers in this database."""
    if USER_ID_TYPE == "bigint":
        return
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA test_keys")
        connection.execute("GRANT USAGE ON SCHEMA test_keys TO public")
        for number in ("smallint", "integer", "bigint"):
            connection.execute(_STATEMENTS[USER_ID_TYPE].format(number).encode())
            for operator in ("<", "<=", ">", ">=") if USER_ID_TYPE == "text" else ():
                connection.execute(_TEXT_AS_NUMBER.format(number, operator).encode())
