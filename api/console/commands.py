"""Commands that need the owner's rights: publishing rules, deploying models. The API's own role has none of them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi import Response
from starlette.responses import StreamingResponse

from api.console.sessions import ConsoleProblem
from rowguard.settings import Settings

UNSET = (
    "set ROWGUARD_PUBLISH_DATABASE_URL, the owner's address, so that the console may do this; "
    "or use the command line"
)


class CommandError(Exception):
    """The command failed; the message is its one line."""


def require_owner(settings: Settings) -> None:
    """Reject what needs the owner where the API has no address of hers.

    Raises:
        ConsoleProblem: 409; the setting is missing.
    """
    if settings.publish_database_url is None:
        raise ConsoleProblem(409, UNSET)


async def run_command(settings: Settings, *arguments: str) -> Any:
    """Run a command of `rowguard` as the owner.

    Args:
        settings: Has the owner's address.
        arguments: Of the command.

    Returns:
        Its document.

    Raises:
        CommandError: It failed.
        ConsoleProblem: 409; the owner's address is not set.
    """
    require_owner(settings)
    assert settings.publish_database_url is not None
    environment = {name: value for name, value in os.environ.items() if name != "POOLED_DATABASE_URL"}
    # Through the environment: other users of the machine see arguments.
    environment["DATABASE_URL"] = settings.publish_database_url.get_secret_value()
    environment.setdefault("ROWGUARD_STATE_DIR", str(settings.state_dir))
    environment.setdefault("ROWGUARD_MODELS_DIR", str(settings.models_dir))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rowguard.cli", *arguments, "--json",
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    # A browser that leaves does not stop a deployment half-way.
    output, errors = await asyncio.shield(process.communicate())
    if process.returncode != 0:
        lines = errors.decode(errors="replace").strip().splitlines() or ["it failed"]
        raise CommandError(lines[-1].removeprefix("rowguard: "))
    return json.loads(output)


def stream(build: Callable[[], Awaitable[str]]) -> Response:
    """Return a response that starts now and ends with what is built: the request's time limit ends at its start.

    Args:
        build: Returns a part of a page; never raises.
    """

    async def parts() -> AsyncIterator[str]:
        yield "<!-- -->"
        yield await build()

    return StreamingResponse(parts(), media_type="text/html")
