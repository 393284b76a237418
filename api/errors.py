"""Errors of the data layer. It knows no HTTP; `api.problems` gives each class its status."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import PoolTimeout, TooManyRequests

from rowguard.errors import DatabaseUnavailableError, RowguardError, SchemaError


class InvalidValueError(RowguardError):
    """The database rejected the values."""

    def __init__(self, message: str | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class UnknownTransactionError(RowguardError):
    """The transaction does not exist."""


class UnscoredTransactionError(RowguardError):
    """The transaction has no decision."""


class NotExplainedError(RowguardError):
    """The model is not explained, as after it was pruned."""


class NotFoundError(RowguardError):
    """The thing that the path or the body names does not exist."""


class ConflictError(RowguardError):
    """The state of the thing does not allow this."""


class IdempotencyKeyConflictError(RowguardError):
    """this Idempotency-Key was used for another transaction of the user"""


class ExternalIdConflictError(RowguardError):
    """this external_id belongs to another transaction of the user"""


class NotServingError(RowguardError):
    """The database rejects the request for now: no model, a failure policy, a standby."""


class DatabaseBusyError(RowguardError):
    """no database connection is free; try again"""


@contextmanager
def translated_errors() -> Iterator[None]:
    """Raise errors of the driver and of the pool as those of the data layer.

    Raises:
        ExternalIdConflictError: Another transaction of the user has this external_id.
        InvalidValueError: A value broke a rule of the database; names the field where the database does.
        NotFoundError: The statement names an object that does not exist.
        ConflictError: Another user has it, or it is in another state.
        NotServingError: The database rejects the request on purpose; its hint is part of the message.
        SchemaError: The database has no rowguard schema.
        DatabaseBusyError: No connection became free in time.
        DatabaseUnavailableError: The connection failed.
    """
    try:
        yield
    except (PoolTimeout, TooManyRequests):
        raise DatabaseBusyError from None
    except psycopg.errors.NoDataFound as error:
        raise NotFoundError(error.diag.message_primary) from None
    except psycopg.errors.ObjectInUse as error:
        raise ConflictError(error.diag.message_primary) from None
    except psycopg.errors.ObjectNotInPrerequisiteState as error:
        hint = error.diag.message_hint or "try again"
        raise NotServingError(f"{error.diag.message_primary}; {hint[0].lower()}{hint[1:]}") from None
    except (
        psycopg.errors.UndefinedTable,
        psycopg.errors.UndefinedFunction,
        psycopg.errors.InvalidSchemaName,
    ):
        raise SchemaError("the database has no rowguard schema yet; run: rowguard migrate") from None
    except (psycopg.DataError, psycopg.IntegrityError) as error:
        if error.diag.constraint_name == "transactions_external_id_idx":
            raise ExternalIdConflictError from None
        raise InvalidValueError(error.diag.message_primary, error.diag.column_name) from None
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseUnavailableError("the database does not answer; try again") from error
