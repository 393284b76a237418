"""What goes in and out over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    WithJsonSchema,
)

BIGINT_MAX = 2**63 - 1
INTEGER_MAX = 2**31 - 1
SINGLE_ROUNDS_TO_ZERO = 2.0**-150
MAX_ITEMS = 1_000
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
CLOCKS_MAY_DIFFER = timedelta(days=1)


def _whole(value: Any) -> Any:
    """JSON knows one kind of number: 5.0 is the whole number 5."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _not_below_single(value: float) -> float:
    """The model sees single precision; what is too small for it is 0, where the database would refuse the cast."""
    return 0.0 if abs(value) <= SINGLE_ROUNDS_TO_ZERO else value


Id = Annotated[int, Field(ge=-BIGINT_MAX - 1, le=BIGINT_MAX, strict=True), BeforeValidator(_whole)]
Count = Annotated[int, Field(ge=0, le=INTEGER_MAX, strict=True), BeforeValidator(_whole)]
FeatureAmount = Annotated[float, Field(ge=0, lt=1e12, allow_inf_nan=False), AfterValidator(_not_below_single)]
Minutes = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False), AfterValidator(_not_below_single)]
# Text keeps every digit where the caller's JSON library would not.
AMOUNT_SCHEMA = {
    "description": "At most 4 decimals.",
    "anyOf": [
        {"type": "number", "minimum": 0, "exclusiveMaximum": 10**12, "multipleOf": 0.0001},
        {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,4})?$"},
    ],
}
Amount = Annotated[
    Decimal,
    Field(ge=0, lt=10**12, decimal_places=4, allow_inf_nan=False),
    WithJsonSchema(AMOUNT_SCHEMA),
]


def _refuse_nul(value: str) -> str:
    if "\x00" in value:
        raise ValueError("must not contain the NUL character")
    return value


def _refuse_number(value: Any) -> Any:
    """Pydantic takes numbers for instants, in a unit that it guesses: seconds or milliseconds."""
    if isinstance(value, str) and "-" in value.strip()[1:]:
        return value
    raise ValueError("is not an ISO 8601 time, such as 2026-11-23T12:00:00Z")


def _require_possible(value: datetime) -> datetime:
    """The table takes any instant, but one that Python cannot read back would be stored and then fail."""
    if value.tzinfo is None:
        raise ValueError("needs a time zone, such as 2026-11-23T12:00:00Z")
    if EARLIEST <= value <= datetime.now(UTC) + CLOCKS_MAY_DIFFER:
        return value
    raise ValueError("is before 1970 or more than a day in the future")


Text = Annotated[str, Field(max_length=64), AfterValidator(_refuse_nul)]
Instant = Annotated[datetime, BeforeValidator(_refuse_number), AfterValidator(_require_possible)]


class _Body(BaseModel):
    """Unknown fields are refused: a misspelt one would silently be missing to the model."""

    model_config = ConfigDict(extra="forbid")


class Features(_Body):
    """Four features that the caller has worked out; what is left out is missing to the model.

    Strict: `true` is not the amount 1, and `"12"` is no count.
    """

    model_config = ConfigDict(strict=True)

    transaction_amount: FeatureAmount = Field(description="Amount.")
    time_since_last_txn: Minutes | None = Field(
        None, description="Minutes since the user's last transaction."
    )
    num_txns_last_hour: Count | None = Field(None, description="The user's transactions in the last hour.")
    user_location_match: bool | None = Field(None, description="Whether the location is the user's home.")


class RawTransaction(_Body):
    """A transaction as the application knows it; the database works out its velocity."""

    user_id: Id = Field(description="Whose transaction it is.")
    amount: Amount
    merchant_id: Id | None = None
    location: Text | None = None
    occurred_at: Instant | None = Field(None, description="Now, if it is left out. A zone is required.")


class Label(_Body):
    """What was found out about a stored transaction."""

    user_id: Id = Field(description="Whose transaction it is.")
    transaction_id: Id
    is_fraud: bool = Field(strict=True)
    labelled_at: Instant | None = Field(None, description="When it became known; now, if it is left out.")
    source: Text = Field("api", min_length=1)


def _kind(body: Any) -> str:
    if isinstance(body, RawTransaction):
        return "transaction"
    if isinstance(body, dict) and ("user_id" in body or "amount" in body):
        return "transaction"
    return "features"


PredictRequest = Annotated[
    Annotated[Features, Tag("features")] | Annotated[RawTransaction, Tag("transaction")],
    Discriminator(_kind),
]


class PredictBatch(_Body):
    """Several questions at once, of both forms if need be."""

    items: Annotated[list[PredictRequest], Field(min_length=1, max_length=MAX_ITEMS)]


class Scored(BaseModel):
    """The model's answer. `probability` is the confidence in `prediction`."""

    prediction: int
    probability: float
    flag: str
    fraud_probability: float
    model_version: str


class Prediction(Scored):
    """The model's answer. `probability` is the confidence in `prediction`."""

    message: str


class Predictions(BaseModel):
    """Answers in the order of the questions."""

    predictions: list[Scored]
    message: str


class Decision(BaseModel):
    """A stored transaction and what was decided about it; null when no model was deployed or it failed."""

    transaction_id: int
    user_id: int
    amount: Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
    merchant_id: int | None
    location: str | None
    occurred_at: datetime
    fraud_flag: str | None
    fraud_probability: float | None
    model_version: str | None
    unscored_reason: str | None


class StoredLabel(BaseModel):
    """A finding as stored; several for one transaction are its history."""

    label_id: int
    user_id: int
    transaction_id: int
    is_fraud: bool
    labelled_at: datetime
    source: str


class ModelInfo(BaseModel):
    """The champion as the registry has it."""

    model_config = ConfigDict(protected_namespaces=())

    version: str
    model_kind: str
    layout: str
    trained_at: datetime
    train_from: datetime
    train_to: datetime
    label_cutoff: datetime
    row_count: int
    fraud_count: int
    threshold: float
    threshold_rule: str
    metrics: dict[str, Any]
    tree_count: int
    node_count: int
    feature_names: list[str]
    feature_hash: str
    deployed_at: datetime | None


class Status(BaseModel):
    status: str
    message: str


class FieldProblem(BaseModel):
    field: str
    message: str


class Problem(BaseModel):
    """An error as RFC 9457 describes it."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = None
