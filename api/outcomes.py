"""Rule sets, lists and exceptions for the API. It knows no HTTP.

Lists, drafts and exceptions are statements over the pool. Checks and backtests run in a thread, over a separate
connection. Publishing needs the owner's rights, which the API does not have: it is the command line, as a process.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from psycopg.types.json import Jsonb
from psycopg_pool import AsyncConnectionPool

from api.errors import (
    ConflictError,
    InvalidValueError,
    NotFoundError,
    translated_errors,
)
from api.statements import Row, fetch_rows
from rowguard.database import connect
from rowguard.declaration import declared
from rowguard.errors import RuleError
from rowguard.settings import Settings
from sql_scoring.rules.backtest import BacktestResult, backtest_rules
from sql_scoring.rules.check import check_rules, deployed_features
from sql_scoring.rules.document import RuleProblem, RuleSet, validate_rules

Result = TypeVar("Result")


class Outcomes:
    """What the API does with rule sets, lists and exceptions.

    Every method raises the errors of `api.errors`.

    Args:
        pool: Connections in autocommit mode.
        settings: Addresses, and whether drafts need an approval.
    """

    def __init__(self, pool: AsyncConnectionPool, settings: Settings) -> None:
        self._pool, self._settings = pool, settings

    async def rows(self, query: str, **values: Any) -> list[Row]:
        """Run a named statement.

        Raises:
            NotFoundError: What it names does not exist.
            ConflictError: The name is taken.
        """
        with translated_errors():
            try:
                return await fetch_rows(self._pool, query, values)
            except psycopg.errors.NoDataFound as error:
                raise NotFoundError(error.diag.message_primary) from None
            except psycopg.errors.UniqueViolation as error:
                raise ConflictError(error.diag.message_primary) from None

    async def row(self, query: str, missing: str, **values: Any) -> Row:
        """Run a named statement that returns one row.

        Raises:
            NotFoundError: It returns none; `missing` says what does not exist.
        """
        rows = await self.rows(query, **values)
        if not rows:
            raise NotFoundError(missing)
        return rows[0]

    async def check(self, document: Row) -> RuleSet:
        """Check a rule set against the database.

        Raises:
            InvalidValueError: A rule is wrong; names its field.
        """

        def run(connection: psycopg.Connection[Any]) -> RuleSet:
            rule_set = validate_rules(document)
            check_rules(rule_set, declared(), deployed_features(connection), connection)
            return rule_set

        return await self._run(run)

    async def backtest(
        self, document: Row, start: datetime | None, end: datetime | None, rule: str | None
    ) -> BacktestResult:
        """Evaluate a rule set over stored history.

        Raises:
            InvalidValueError: A rule is wrong; names its field.
        """

        def run(connection: psycopg.Connection[Any]) -> BacktestResult:
            return backtest_rules(
                connection, validate_rules(document), declared(), start=start, end=end, only=rule
            )

        return await self._run(run)

    async def save_draft(self, draft_id: int | None, document: Row, note: str, by: str) -> Row:
        """Store a draft of a rule set that passed its check.

        Raises:
            NotFoundError: There is no such draft.
            ConflictError: It was published already.
        """
        rule_set = await self.check(document)
        values = {"document": Jsonb(rule_set.as_document()), "note": note, "by": by, "draft_id": draft_id}
        if draft_id is None:
            return (await self.rows("insert_draft", **values))[0]
        await self._open_draft(draft_id)
        return (await self.rows("update_draft", **values))[0]

    async def approve_draft(self, draft_id: int, by: str) -> Row:
        """Record the approval of another person than the draft's last editor.

        Raises:
            NotFoundError: There is no such draft.
            ConflictError: It was published already, or the approver edited it.
        """
        draft = await self._open_draft(draft_id)
        if draft["updated_by"] == by:
            raise ConflictError(f"draft {draft_id} was edited by {by}: another person approves it")
        return (await self.rows("approve_draft", draft_id=draft_id, by=by))[0]

    async def publish(self, draft_id: int, by: str) -> Row:
        """Publish a draft.

        Raises:
            NotFoundError: There is no such draft.
            ConflictError: It was published, lacks an approval, or another set was published meanwhile.
        """
        await self._open_draft(draft_id)
        return await self._command("publish", "--draft", str(draft_id), "--by", by)

    async def roll_back(self, version: int | None) -> Row:
        """Put an earlier rule set in force.

        Raises:
            ConflictError: There is no such version, or it is in force.
        """
        return await self._command("rollback", *(() if version is None else ("--to", str(version))))

    async def _open_draft(self, draft_id: int) -> Row:
        draft = await self.row("select_draft", f"there is no draft {draft_id}", draft_id=draft_id)
        if draft["published_version"] is not None:
            version = draft["published_version"]
            raise ConflictError(f"draft {draft_id} was published as rule set {version} already")
        return draft

    async def _command(self, *arguments: str) -> Row:
        url = self._settings.publish_database_url
        if url is None:
            raise ConflictError(
                "this API does not publish rule sets; set ROWGUARD_PUBLISH_DATABASE_URL, "
                "or run: rowguard rules publish"
            )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rowguard.cli", "rules", *arguments, "--json",
            env=os.environ | {"DATABASE_URL": url.get_secret_value()},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        # A client that leaves does not stop a publication half-way.
        output, errors = await asyncio.shield(process.communicate())
        if process.returncode == 0:
            document: Row = json.loads(output)
            return document
        lines = errors.decode(errors="replace").strip().splitlines()
        raise ConflictError(lines[-1].removeprefix("rowguard: ") if lines else "the command failed")

    async def _run(self, function: Callable[[psycopg.Connection[Any]], Result]) -> Result:
        settings = self._settings
        url = settings.publish_database_url or settings.database_url or settings.pooled_url
        assert url is not None

        def call() -> Result:
            with connect(url.get_secret_value()) as connection:
                timeout = str(int(settings.api_request_timeout_s * 1000))
                connection.execute("SELECT set_config('statement_timeout', %s, true)", [timeout])
                result = function(connection)
                connection.rollback()
                return result

        with translated_errors():
            try:
                return await asyncio.to_thread(call)
            except RuleProblem as problem:
                raise InvalidValueError(
                    str(problem), ".".join(map(str, ("document", *problem.place)))
                ) from None
            except RuleError as error:
                raise InvalidValueError(str(error), "rule") from None
