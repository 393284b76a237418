"""Keys and tokens for tests."""

from __future__ import annotations

import base64
import json
import time
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

SECRET = "test-secret-test-secret-test-secret-0123"
SCOPES = ("predict", "write", "label", "explain", "review", "admin")


@cache
def rsa_key(name: str = "one") -> rsa.RSAPrivateKey:
    """A private key a name, made once."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


def write_jwks(path: Path, *names: str) -> Path:
    """A JWKS file with the public halves of the named keys."""
    keys = []
    for name in names:
        jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key(name).public_key()))
        keys.append(jwk | {"kid": name, "use": "sig", "alg": "RS256"})
    path.write_text(json.dumps({"keys": keys}))
    return path


def claims(*scopes: str, **changes: Any) -> dict[str, Any]:
    """What a good token says; a change to None leaves a claim out."""
    good = {
        "sub": "tester",
        "aud": "rowguard",
        "exp": int(time.time()) + 6 * 3_600,
        "scope": " ".join(scopes),
    } | changes
    return {name: value for name, value in good.items() if value is not None}


def token(*scopes: str, secret: str = SECRET, **changes: Any) -> str:
    """An HS256 token."""
    return jwt.encode(claims(*scopes, **changes), secret, algorithm="HS256")


def rsa_token(*scopes: str, key: str = "one", kid: str | None = None, **changes: Any) -> str:
    """An RS256 token."""
    return jwt.encode(
        claims(*scopes, **changes), rsa_key(key), algorithm="RS256", headers={"kid": kid or key}
    )


def unsigned(*scopes: str) -> str:
    """What an attacker sends who hopes that `alg: none` is believed."""
    return jwt.encode(claims(*scopes), None, algorithm="none")  # type: ignore[arg-type]


def tampered(good: str, **changes: Any) -> str:
    """The token with other claims and the old signature."""
    head, body, signature = good.split(".")
    read = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    text = base64.urlsafe_b64encode(json.dumps(read | changes).encode()).decode().rstrip("=")
    return ".".join((head, text, signature))


def bearer(value: str) -> dict[str, str]:
    """The header."""
    return {"Authorization": f"Bearer {value}"}
