"""Who may do what in the console. Roles come from a claim of the identity provider."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rowguard.errors import SettingsError

ROLES = ("analyst", "rule_author", "approver", "administrator")
# Permission → the roles that have it. Every role may read.
PERMISSIONS: dict[str, frozenset[str]] = {
    "read": frozenset(ROLES),
    "review": frozenset({"analyst", "administrator"}),
    "release": frozenset({"administrator"}),
    "edit": frozenset({"rule_author", "administrator"}),
    "approve": frozenset({"approver", "administrator"}),
    "audit": frozenset({"approver", "administrator"}),
}


@dataclass(frozen=True)
class User:
    """A user of the console, as the session has it."""

    name: str
    roles: frozenset[str]

    def may(self, permission: str) -> bool:
        """Return whether one of the user's roles has a permission."""
        return bool(PERMISSIONS[permission] & self.roles)


def parse_role_names(text: str | None) -> dict[str, str]:
    """Parse the provider's names of roles: `analyst=fraud-ops,administrator=fraud-admins`.

    Returns:
        The provider's name to ours.

    Raises:
        SettingsError: A role is unknown, or a name is missing.
    """
    names = {role: role for role in ROLES}
    for part in (text or "").split(","):
        if not part.strip():
            continue
        role, _, name = (word.strip() for word in part.partition("="))
        if role not in ROLES or not name:
            raise SettingsError(
                f"ROWGUARD_OIDC_ROLE_NAMES: {part.strip()!r} is not ROLE=NAME with a role of {', '.join(ROLES)}"
            )
        names[role] = name
    return {name: role for role, name in names.items()}


def read_roles(claims: Mapping[str, Any], path: str, names: Mapping[str, str]) -> frozenset[str]:
    """Return the roles that a token's claims give; unknown names give none.

    Args:
        claims: Of the id token.
        path: Name of the claim; dots lead into objects.
        names: The provider's names to ours.
    """
    value: Any = claims
    for word in [path] if path in claims else path.split("."):
        value = value.get(word) if isinstance(value, Mapping) else None
    words: Iterable[Any] = (
        value.split() if isinstance(value, str) else value if isinstance(value, list) else ()
    )
    return frozenset(names[word] for word in words if isinstance(word, str) and word in names)
