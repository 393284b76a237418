"""serve."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", min=1, max=65535)] = None,
) -> None:
    """Serve the HTTP API in the foreground (port 8001).

    Example: rowguard serve --port 8080
    """
    from api.server import run
    from rowguard.settings import settings

    run(settings(), host=host, port=port)
