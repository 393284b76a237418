"""Templates, and the values that every page has."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import Request, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from api.console import charts
from api.console.roles import User

# Page → the permission that shows it. A page that is not ready is not here.
NAVIGATION = (
    ("Overview", "/console/", "read"),
    ("Reviews", "/console/reviews", "read"),
    ("Rules", "/console/rules", "read"),
    ("Lists", "/console/lists", "read"),
    ("Models", "/console/models", "read"),
    ("Monitoring", "/console/monitoring", "read"),
    ("Audit", "/console/audit", "audit"),
)


def render(
    request: Request, template: str, user: User | None = None, *, status: int = 200, **values: Any
) -> Response:
    """Render a page. Every value is escaped where it is shown.

    Args:
        request: Has the session.
        template: Its file in `templates`.
        user: Logged in; None on the page to log in.
        status: HTTP status.
        values: Of the template.
    """
    links = [
        (name, path) for name, path, permission in NAVIGATION if user is not None and user.may(permission)
    ]
    text = (
        _environment()
        .get_template(template)
        .render(
            user=user,
            links=links,
            path=request.url.path,
            csrf=request.session.get("csrf", ""),
            now=datetime.now(UTC),
            notice=request.session.pop("notice", None) if "notice" in request.session else None,
            **values,
        )
    )
    return Response(text, status, media_type="text/html")


def render_text(template: str, **values: Any) -> str:
    """Render a part of a page.

    Args:
        template: Its file in `templates`.
        values: Of the template.
    """
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "number": format_number,
        "percent": lambda value: "–" if value is None else f"{100 * value:.2f} %",
        "time": format_time,
        "segment": lambda value: quote(str(value), safe=""),
        "details": format_details,
        "days": lambda days: [
            {"day": row["date"][5:], "frauds": row["frauds"], "good": row["matched"] - row["frauds"]}
            for row in days
        ],
    }
    environment.globals["charts"] = charts
    return environment


def format_number(value: Any, digits: int | None = None) -> str:
    """Return a number for readers; a dash for none.

    Args:
        value: The number.
        digits: Decimals; by default those that it needs.
    """
    if value is None:
        return "–"
    if isinstance(value, bool | str):
        return str(value)
    if digits is not None:
        return f"{value:,.{digits}f}"
    return (
        f"{value:,}"
        if isinstance(value, int)
        else f"{value:,.2f}"
        if isinstance(value, Decimal)
        else f"{value:.4g}"
    )


def format_time(value: datetime | None) -> str:
    """Return a time in UTC; a dash for none."""
    return "–" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def format_details(details: Mapping[str, Any]) -> str:
    """Return the details of an event as one line."""
    return ", ".join(
        f"{name} {', '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in details.items()
    )
