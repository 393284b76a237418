"""Bearer tokens (JWT). Usually an identity provider mints them; `mint` is for local use."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt

from rowguard.errors import SettingsError
from rowguard.settings import Settings

SCOPES = ("predict", "write", "label", "explain", "rules", "publish", "lists", "review", "admin")
SECRET_BYTES = 32
CACHED_TOKENS = 1_024
RELOAD_S = 1.0
LEEWAY_S = 30
JWKS = "ROWGUARD_JWT_JWKS_FILE"
Keys = dict[str | None, jwt.PyJWK]


class TokenError(Exception):
    """The token is not accepted; the message has the reason and no part of the token."""


@dataclass(frozen=True)
class Client:
    """The subject and scopes of a valid token."""

    subject: str
    scopes: frozenset[str]
    expires_at: float


def mint(settings: Settings, subject: str, scopes: Iterable[str], lifetime_s: float) -> str:
    """Sign an HS256 token with the configured secret.

    Args:
        settings: Secret, audience and issuer.
        subject: The client; rate limits use it.
        scopes: Some of `SCOPES`.
        lifetime_s: Seconds until the token expires.

    Returns:
        The encoded token.

    Raises:
        SettingsError: No secret is configured, or it is too short.
    """
    secret = read_secret(settings)
    if secret is None:
        raise SettingsError(
            "no secret to sign with: set ROWGUARD_JWT_SECRET (`openssl rand -hex 32` makes one) for the API too; "
            "without it the API on this machine needs no token"
        )
    now = time.time()
    claims: dict[str, Any] = {
        "sub": subject,
        "scope": " ".join(scopes),
        "aud": settings.jwt_audience,
        "iat": int(now),
        "exp": int(now + lifetime_s),
    }
    if settings.jwt_issuer:
        claims["iss"] = settings.jwt_issuer
    return jwt.encode(claims, secret, algorithm="HS256")


def read_secret(settings: Settings) -> str | None:
    """Read the shared secret from the environment or its file; None without one.

    Raises:
        SettingsError: The file cannot be read, or the secret is too short to be safe.
    """
    if settings.jwt_secret is not None:
        secret, name = settings.jwt_secret.get_secret_value(), "ROWGUARD_JWT_SECRET"
    elif settings.jwt_secret_file is not None:
        secret, name = (
            _read(settings.jwt_secret_file, "ROWGUARD_JWT_SECRET_FILE").strip(),
            "the secret's file",
        )
    else:
        return None
    if len(secret.encode()) < SECRET_BYTES:
        raise SettingsError(
            f"{name} holds fewer than {SECRET_BYTES} bytes; `openssl rand -hex 32` makes a good one"
        )
    return secret


def _read(path: Path, setting: str) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise SettingsError(f"{setting} cannot be read: {reason}") from None


class Authenticator:
    """Checks tokens. The algorithm follows from the key, never from the token.

    Args:
        settings: Keys, audience and issuer.

    Raises:
        SettingsError: A key is invalid.
    """

    def __init__(self, settings: Settings) -> None:
        self._secret = read_secret(settings)
        self._jwks_file = settings.jwt_jwks_file
        self._options = {"audience": settings.jwt_audience, "issuer": settings.jwt_issuer}
        self._keys_text, self._keys = "", Keys()
        self._checked_at = 0.0
        self._known: dict[str, Client] = {}
        if self._jwks_file is not None:
            self._keys_text = _read(self._jwks_file, JWKS)
            self._keys = parse_keys(self._keys_text)

    @property
    def is_configured(self) -> bool:
        """Whether there is a key; without one no token is required."""
        return self._secret is not None or self._jwks_file is not None

    def client(self, token: str) -> Client:
        """Return the client of a token.

        Raises:
            TokenError: It is malformed, expired, for another audience, or signed with an unknown key.
        """
        now = time.time()
        self._reload_keys_if_changed(now)
        known = self._known.get(token)
        if known is None:
            known = self._check(token)
            if len(self._known) >= CACHED_TOKENS:
                self._known.clear()
            self._known[token] = known
        if known.expires_at + LEEWAY_S <= now:
            self._known.pop(token, None)
            raise TokenError("the token has expired")
        return known

    def _check(self, token: str) -> Client:
        try:
            key, algorithm = self._key(jwt.get_unverified_header(token))
            claims = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                leeway=LEEWAY_S,
                options={"require": ["exp", "sub", "aud"]},
                **self._options,  # type: ignore[arg-type]
            )
        except jwt.ExpiredSignatureError:
            raise TokenError("the token has expired") from None
        except jwt.InvalidAudienceError:
            raise TokenError("the token is for another audience") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise TokenError("the token is not valid") from None
        return Client(str(claims["sub"]), _scopes(claims), float(claims["exp"]))

    def _key(self, header: dict[str, Any]) -> tuple[Any, str]:
        if header.get("alg") == "HS256" and self._secret is not None:
            return self._secret, "HS256"
        if header.get("alg") == "RS256" and self._keys:
            kid = header.get("kid")
            if kid in self._keys:
                return self._keys[kid].key, "RS256"
            if kid is None and len(self._keys) == 1:
                return next(iter(self._keys.values())).key, "RS256"
        raise TokenError("the token is signed with an unknown key")

    def _reload_keys_if_changed(self, now: float) -> None:
        """Keys removed from the file are rejected within a second; a malformed file changes nothing."""
        if self._jwks_file is None or now - self._checked_at < RELOAD_S:
            return
        self._checked_at = now
        try:
            text = _read(self._jwks_file, JWKS)
            if text != self._keys_text:
                self._keys_text, self._keys = text, parse_keys(text)
                self._known.clear()
        except SettingsError:
            return


def _scopes(claims: dict[str, Any]) -> frozenset[str]:
    """`scope` as in RFC 8693, separated by spaces; or the list `scp` of some providers."""
    claim = claims.get("scope", claims.get("scp", ""))
    words = claim.split() if isinstance(claim, str) else claim if isinstance(claim, list) else []
    return frozenset(word for word in words if isinstance(word, str)) & frozenset(SCOPES)


def parse_keys(text: str) -> Keys:
    """Parse the RSA keys of a JWKS document.

    Returns:
        The keys by their id.

    Raises:
        SettingsError: It is malformed, or holds no RSA signing key.
    """
    try:
        jwks = jwt.PyJWKSet.from_json(text).keys
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, KeyError):
        raise SettingsError(f"{JWKS} is not a JWKS document") from None
    keys = {
        key.key_id: key
        for key in jwks
        if key.key_type == "RSA" and key.public_key_use in (None, "sig") and key.algorithm_name == "RS256"
    }
    if not keys:
        raise SettingsError(f"{JWKS} holds no RSA key for RS256")
    return keys
