"""Keys that are exchanged while their file is being read."""

from __future__ import annotations

from pathlib import Path

import pytest

from api import tokens
from api.tokens import Authenticator, TokenError
from rowguard.settings import Settings
from tests.db.api.tokens import rsa_token, write_jwks


def test_what_is_written_while_the_file_is_read_is_read_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jwks = write_jwks(tmp_path / "jwks.json", "one")
    read = tokens._read

    def read_and_lose_the_race(path: Path, setting: str) -> str:
        text = read(path, setting)
        write_jwks(jwks, "two", "three")
        return text

    monkeypatch.setattr(tokens, "_read", read_and_lose_the_race)
    authenticator = Authenticator(Settings(jwt_jwks_file=jwks, _env_file=None))
    monkeypatch.undo()
    assert authenticator.client(rsa_token("predict", key="two")).scopes == {"predict"}
    with pytest.raises(TokenError, match="nobody we know"):
        authenticator.client(rsa_token("predict", key="one"))
