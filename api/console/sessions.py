"""Sessions in a signed cookie, permissions of each route, and protection against forged requests."""

from __future__ import annotations

import secrets
import time
from typing import Annotated, Any

from fastapi import Depends, Request
from starlette.datastructures import FormData, UploadFile

from api.console.roles import PERMISSIONS, User

CSRF_FIELD, CSRF_HEADER = "csrf", "x-csrf-token"


class ConsoleProblem(Exception):
    """A page that shows a problem.

    Args:
        status: HTTP status.
        detail: One sentence for the user.
    """

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class NotLoggedIn(Exception):
    """The request has no valid session."""


def start_session(request: Request, user: User, lifetime_s: float) -> None:
    """Start a session; what the browser had before is gone.

    Args:
        request: Whose response sets the cookie.
        user: Logged in.
        lifetime_s: Seconds until the user logs in again.
    """
    request.session.clear()
    request.session["user"] = {"name": user.name, "roles": sorted(user.roles)}
    request.session["expires_at"] = int(time.time() + lifetime_s)
    request.session["csrf"] = secrets.token_urlsafe(32)


def current_user(request: Request) -> User:
    """Return the user of the session.

    Raises:
        NotLoggedIn: There is none, or it has expired.
    """
    session = request.session
    if "user" not in session or session.get("expires_at", 0) <= time.time():
        session.clear()
        raise NotLoggedIn
    return User(session["user"]["name"], frozenset(session["user"]["roles"]))


async def read_form(request: Request) -> FormData:
    """Return the fields of a form, after the check that a page of this session sent it.

    Raises:
        ConsoleProblem: 403; the token is missing or another session's. 422; the form is malformed.
    """
    form: FormData | None = None
    given = request.headers.get(CSRF_HEADER)
    try:
        form = await request.form(max_files=1, max_fields=1_100)
    except Exception as error:  # starlette and python-multipart have no common class
        raise ConsoleProblem(422, "the form is malformed") from error
    if given is None:
        field = form.get(CSRF_FIELD)
        given = field if isinstance(field, str) else ""
    if not secrets.compare_digest(given.encode(), request.session.get("csrf", "").encode()):
        raise ConsoleProblem(403, "the form is of another session; load the page again")
    return form


def text_field(form: FormData, name: str, max_length: int = 2_000) -> str:
    """Return a text of a form, empty where it is missing.

    Args:
        form: The fields.
        name: Of the field.
        max_length: In characters.

    Raises:
        ConsoleProblem: 422; it is too long, or has characters that a terminal obeys.
    """
    value = form.get(name, "")
    text = "" if isinstance(value, UploadFile) else value.replace("\r\n", "\n").strip()
    if len(text) > max_length:
        raise ConsoleProblem(422, f"{name} has more than {max_length:,} characters")
    if any(
        (ord(character) < 32 and character not in "\n\t") or 127 <= ord(character) < 160 for character in text
    ):
        raise ConsoleProblem(422, f"{name} must not contain control characters")
    return text


class Allow:
    """A dependency that admits users with a permission; a changing request needs the session's token too.

    Args:
        permission: One of `PERMISSIONS`.
    """

    def __init__(self, permission: str) -> None:
        assert permission in PERMISSIONS
        self.permission = permission

    async def __call__(self, request: Request) -> User:
        user = current_user(request)
        if not user.may(self.permission):
            needed = " or ".join(sorted(PERMISSIONS[self.permission])).replace("_", " ")
            raise ConsoleProblem(403, f"this needs the role {needed}")
        if request.method not in ("GET", "HEAD"):
            await read_form(request)
        return user


def allow(permission: str) -> Any:
    """Return the annotation of a parameter that takes the user, who has a permission."""
    return Annotated[User, Depends(Allow(permission))]


Reader = allow("read")
Reviewer = allow("review")
Administrator = allow("release")
Editor = allow("edit")
Approver = allow("approve")
Auditor = allow("audit")
