"""The console's application, which the API mounts at /console."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI, Request, Response
from psycopg_pool import AsyncConnectionPool
from starlette.exceptions import HTTPException
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import RedirectResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.console import login
from api.console.data import Data
from api.console.pages import audit, lists, models, monitoring, overview, reviews, rules, transactions
from api.console.rendering import render
from api.console.secret import read_console_secret
from api.console.sessions import ConsoleProblem, NotLoggedIn, current_user
from api.metrics import Metrics
from api.outcomes import Outcomes
from api.problems import STATUSES
from api.repository import Repository
from rowguard.errors import RowguardError
from rowguard.settings import Settings

COOKIE = "rowguard_console"
STATIC = Path(__file__).parent / "static"
# Nothing from elsewhere, nothing inline. Pico's style sheet has its icons as data.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    b"content-security-policy": POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"x-frame-options": b"DENY",
    b"referrer-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}


class SecurityHeaders:
    """Adds the headers that keep pages from loading, leaking and being framed; pages are not stored.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        is_static = "/static/" in scope.get("path", "")
        cache = b"max-age=3600" if is_static else b"no-store"

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *HEADERS.items(), (b"cache-control", cache)]
            await send(message)

        await self._app(scope, receive, send_with_headers)


def create_console(
    settings: Settings,
    pool: AsyncConnectionPool,
    repository: Repository,
    outcomes: Outcomes,
    metrics: Metrics,
) -> FastAPI:
    """Build the console.

    Args:
        settings: Secret, provider, lifetime of sessions.
        pool: Connections of the API.
        repository: Statements that the API has too.
        outcomes: Rules and lists of the API.
        metrics: Of this worker.

    Raises:
        SettingsError: The secret is too short, or names of roles are malformed.
    """
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.settings, app.state.repository, app.state.metrics = settings, repository, metrics
    app.state.data, app.state.outcomes, app.state.secret = Data(pool), outcomes, read_console_secret(settings)
    app.state.provider = login.create_provider(settings)
    for page in (login, overview, reviews, transactions, rules, lists, models, monitoring, audit):
        app.include_router(page.router)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_middleware(
        SessionMiddleware,
        secret_key=app.state.secret,
        session_cookie=COOKIE,
        max_age=int(settings.console_session_hours * 3600),
        path="/console",
        same_site="lax",
        https_only=settings.api_tls_cert_file is not None or settings.api_trusted_proxies is not None,
    )
    app.add_middleware(SecurityHeaders)
    for error_class, handler in (
        (NotLoggedIn, _ask_to_log_in),
        (ConsoleProblem, _show_problem),
        (RowguardError, _show_error),
        (HTTPException, _show_http_error),
    ):
        app.add_exception_handler(error_class, handler)  # type: ignore[arg-type]
    return app


async def _ask_to_log_in(request: Request, error: NotLoggedIn) -> Response:
    if request.headers.get(
        "hx-request"
    ):  # htmx follows redirects within the page, so it is asked to load another
        return Response(status_code=401, headers={"HX-Redirect": "/console/login"})
    if request.method == "GET":
        request.session["next"] = request.url.path
    return RedirectResponse("/console/login", 303)


async def _show_problem(request: Request, error: ConsoleProblem) -> Response:
    return _problem(request, error.status, error.detail)


async def _show_error(request: Request, error: RowguardError) -> Response:
    return _problem(request, STATUSES.get(type(error), 503), str(error))


async def _show_http_error(request: Request, error: HTTPException) -> Response:
    return _problem(
        request, error.status_code, "there is no such page" if error.status_code == 404 else error.detail
    )


def _problem(request: Request, status: int, detail: str) -> Response:
    try:
        user = current_user(request)
    except NotLoggedIn:
        user = None
    return render(request, "problem.html.j2", user, status=status, code=status, detail=detail)
