"""The secret that signs sessions, and links to log in on this machine."""

from __future__ import annotations

import os
import secrets
import time

import jwt

from api.console.roles import ROLES, User
from rowguard.errors import SettingsError
from rowguard.settings import Settings

SECRET_BYTES = 32
LINK_AUDIENCE = "rowguard-console-link"


def read_console_secret(settings: Settings) -> str:
    """Return the secret of the settings, or that of a file in the state folder, which is created.

    Raises:
        SettingsError: It is too short, or the file cannot be written.
    """
    if settings.console_secret is not None:
        secret = settings.console_secret.get_secret_value()
    else:
        path = settings.state_dir / "console-secret"
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                    file.write(secrets.token_hex(SECRET_BYTES))
            except FileExistsError:
                pass
            secret = path.read_text().strip()
        except OSError as error:
            raise SettingsError(
                f"the console's secret cannot be kept in {path}: {error.strerror}; set ROWGUARD_CONSOLE_SECRET"
            ) from None
    if len(secret.encode()) < SECRET_BYTES:
        raise SettingsError(
            f"the console's secret has fewer than {SECRET_BYTES} bytes; `openssl rand -hex 32` makes a good one"
        )
    return secret


def mint_link_token(settings: Settings, name: str, roles: list[str], lifetime_s: float) -> str:
    """Sign a token that logs a user in on this machine.

    Args:
        settings: Has the secret.
        name: The user.
        roles: Some of `ROLES`.
        lifetime_s: Seconds until it expires.

    Raises:
        SettingsError: There is no secret, or users log in at a provider.
    """
    if settings.oidc_issuer is not None:
        raise SettingsError("users log in at ROWGUARD_OIDC_ISSUER; links are not in use")
    claims = {"sub": name, "roles": roles, "aud": LINK_AUDIENCE, "exp": int(time.time() + lifetime_s)}
    return jwt.encode(claims, read_console_secret(settings), algorithm="HS256")


def read_link_token(secret: str, token: str) -> User | None:
    """Return the user of a token; None where it is malformed, expired, or signed otherwise.

    Args:
        secret: The console's.
        token: Of the link.
    """
    try:
        claims = jwt.decode(
            token, secret, algorithms=["HS256"], audience=LINK_AUDIENCE, options={"require": ["exp", "sub"]}
        )
    except (jwt.PyJWTError, ValueError):
        return None
    roles = claims.get("roles")
    return User(
        str(claims["sub"])[:256], frozenset(roles if isinstance(roles, list) else ()) & frozenset(ROLES)
    )
