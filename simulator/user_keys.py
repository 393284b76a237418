"""Ids of the simulated users: their numbers, in the type of user_id that features.yml declares."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from rowguard.declaration import KeyType

UserKey = int | UUID | str


def user_key(number: int, key_type: KeyType) -> UserKey:
    """Return the id of a user.

    Args:
        number: From 1 on.
        key_type: The type of user_id.

    Returns:
        The number, its digits as text, or the UUID with its bits: `00000000-0000-0000-0000-00000000002a` is 42.
    """
    if key_type == "uuid":
        return UUID(int=number)
    return str(number) if key_type == "text" else number


def user_keys(numbers: NDArray[np.int64], key_type: KeyType) -> Any:
    """Return the ids of users as an Arrow array, UUIDs as text.

    Args:
        numbers: From 1 on.
        key_type: The type of user_id.
    """
    if key_type == "bigint":
        return pa.array(numbers)
    users, positions = np.unique(numbers, return_inverse=True)
    names = pa.array([str(user_key(int(number), key_type)) for number in users], pa.string())
    return names.take(pa.array(positions))
