"""SCRAM verifiers: what PostgreSQL keeps of a password. Only these travel in statements and land in logs."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

_ITERATIONS = 4096


def scram_verifier(password: str) -> str:
    """The verifier of an ASCII password, in the form of `pg_authid.rolpassword` (RFC 5803)."""
    return _verifier(password, secrets.token_bytes(16), _ITERATIONS)


def is_verifier_of(verifier: str | None, password: str) -> bool:
    """Whether a stored verifier belongs to the password."""
    found = re.fullmatch(r"SCRAM-SHA-256\$(\d+):([A-Za-z0-9+/=]+)\$.+", verifier or "")
    if not found:
        return False
    expected = _verifier(password, base64.b64decode(found[2]), int(found[1]))
    return hmac.compare_digest(expected, found[0])


def _verifier(password: str, salt: bytes, iterations: int) -> str:
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    encoded = [base64.b64encode(part).decode() for part in (salt, stored_key, server_key)]
    return f"SCRAM-SHA-256${iterations}:{encoded[0]}${encoded[1]}:{encoded[2]}"
