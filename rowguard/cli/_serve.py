"""serve."""

from __future__ import annotations

from typing import Annotated

import typer

from rowguard.cli._target import require_addresses


def register(app: typer.Typer) -> None:
    app.command()(serve)


def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.", min=1, max=65535)] = None,
) -> None:
    """Serve the HTTP API in the foreground (port 8001).

    Example: rowguard serve --port 8080
    """
    from api.app import ApiConfig
    from api.server import serve as run
    from rowguard import local
    from rowguard.settings import settings

    require_addresses()
    chosen = settings()
    if chosen.database_url is None:
        # The embedded database: a log-in of its own with the API's rights and no more.
        url = local.ensure_login(chosen, "rowguard_api_local", "rowguard_api")
        is_pooled = local.resolve_pooled_url(chosen) is not None
    else:
        pooled = local.resolve_pooled_url(chosen)
        url, is_pooled = pooled or chosen.database_url.get_secret_value(), pooled is not None
    run(chosen, ApiConfig(url, is_pooled), host=host, port=port)
