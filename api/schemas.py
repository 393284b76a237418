"""Bodies of requests and responses."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, NotRequired

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    PlainValidator,
    Tag,
    WithJsonSchema,
)
from typing_extensions import TypedDict

from rowguard.amounts import LIMIT, MALFORMED, AmountError, parse_amount

BIGINT_MAX = 2**63 - 1
INTEGER_MAX = 2**31 - 1
EXACT_FLOAT_MAX = 2**53
SINGLE_ROUNDS_TO_ZERO = 2.0**-150
MAX_ITEMS = 1_000
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
CLOCK_SKEW = timedelta(days=1)
CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f]")
NO_CONTROL_CHARACTERS = r"^[^\u0000-\u001F\u007F-\u009F]*$"


def _parse_integer(value: Any) -> Any:
    """JSON has one kind of number, so 5.0 is 5; above 2^53 a float may stand for another integer."""
    if isinstance(value, float) and value.is_integer():
        if abs(value) >= EXACT_FLOAT_MAX:
            raise ValueError(
                "is too large for a floating-point number; send an integer, or its digits as a string"
            )
        return int(value)
    return value


def _parse_id(value: Any) -> Any:
    """JavaScript cannot write every 64-bit integer as a number, so digits in a string count too."""
    if isinstance(value, str) and len(value) <= 20 and value.isascii() and value.removeprefix("-").isdigit():
        return int(value)
    return _parse_integer(value)


def _parse_amount(value: Any) -> Decimal:
    if isinstance(value, float):
        return parse_amount(repr(value))
    if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
        return parse_amount(value)
    raise AmountError(MALFORMED)


def _round_to_single(value: float) -> float:
    """The model reads single precision: smaller values are 0, where the database would reject the cast."""
    return 0.0 if abs(value) <= SINGLE_ROUNDS_TO_ZERO else value


def reject_control_characters(value: str) -> str:
    """Return the text unchanged.

    Raises:
        ValueError: It has control characters, which a terminal or a log would obey.
    """
    if CONTROL_CHARACTER.search(value):
        raise ValueError("must not contain control characters")
    return value


def _reject_number(value: Any) -> Any:
    """Pydantic would read a number as a time, in a unit that it guesses."""
    if isinstance(value, str) and "-" in value.strip()[1:]:
        return value
    raise ValueError("is not an ISO 8601 time, such as 2026-11-23T12:00:00Z")


def _require_valid_time(value: datetime) -> datetime:
    """The table stores any time, but Python cannot read all of them back."""
    if value.tzinfo is None:
        raise ValueError("needs a time zone, such as 2026-11-23T12:00:00Z")
    if EARLIEST <= value <= datetime.now(UTC) + CLOCK_SKEW:
        return value
    raise ValueError("is before 1970 or more than a day in the future")


ID_SCHEMA = {
    "anyOf": [
        {"type": "integer", "minimum": -BIGINT_MAX - 1, "maximum": BIGINT_MAX},
        {"type": "string", "pattern": "^-?[0-9]{1,18}$", "description": "Its digits."},
    ],
}
# A string keeps every digit where the client's JSON library would not.
AMOUNT_SCHEMA = {
    "description": "At most 4 decimals.",
    "anyOf": [
        {"type": "number", "minimum": 0, "exclusiveMaximum": int(LIMIT), "multipleOf": 0.0001},
        {"type": "string", "pattern": r"^[0-9]{1,12}(\.[0-9]{1,4})?$"},
    ],
}
Id = Annotated[
    int,
    Field(ge=-BIGINT_MAX - 1, le=BIGINT_MAX, strict=True),
    BeforeValidator(_parse_id),
    WithJsonSchema(ID_SCHEMA),
]
Count = Annotated[int, Field(ge=0, le=INTEGER_MAX, strict=True), BeforeValidator(_parse_integer)]
FeatureAmount = Annotated[
    float, Field(ge=0, lt=float(LIMIT), allow_inf_nan=False), AfterValidator(_round_to_single)
]
Minutes = Annotated[float, Field(ge=0, le=1e12, allow_inf_nan=False), AfterValidator(_round_to_single)]
Amount = Annotated[Decimal, PlainValidator(_parse_amount), WithJsonSchema(AMOUNT_SCHEMA)]
Text = Annotated[
    str,
    Field(max_length=64, json_schema_extra={"pattern": NO_CONTROL_CHARACTERS}),
    AfterValidator(reject_control_characters),
]
Time = Annotated[datetime, BeforeValidator(_reject_number), AfterValidator(_require_valid_time)]


class _Body(BaseModel):
    """Unknown fields are rejected: a misspelled one would be missing to the model without notice."""

    model_config = ConfigDict(extra="forbid")


class Features(_Body):
    """Four features that the client has computed; one that is left out is missing to the model.

    Strict: `true` is not the amount 1, and `"12"` is not a count.
    """

    model_config = ConfigDict(strict=True)

    transaction_amount: FeatureAmount = Field(description="Amount.")
    time_since_last_txn: Minutes | None = Field(
        None, description="Minutes since the user's last transaction."
    )
    num_txns_last_hour: Count | None = Field(None, description="The user's transactions in the last hour.")
    user_location_match: bool | None = Field(None, description="Whether the location is the user's home.")


class RawTransaction(_Body):
    """A transaction; the database computes its velocity features."""

    user_id: Id = Field(description="The user of the transaction.")
    amount: Amount
    merchant_id: Id | None = None
    location: Text | None = None
    occurred_at: Time | None = Field(None, description="Default: now. A time zone is required.")


class PredictFeatures(Features):
    """Four features to score; `explain` adds the contribution of each feature and the reasons."""

    explain: bool = Field(False, description="Add the explanation.")


class PredictTransaction(RawTransaction):
    """A transaction to score; `explain` adds the contribution of each feature and the reasons."""

    explain: bool = Field(False, strict=True, description="Add the explanation.")


class Label(_Body):
    """A label of a stored transaction."""

    user_id: Id = Field(description="The user of the transaction.")
    transaction_id: Id
    is_fraud: bool = Field(strict=True)
    labelled_at: Time | None = Field(None, description="When it became known. Default: now.")
    source: Text = Field("api", min_length=1)


def _kind(body: Any) -> str:
    if isinstance(body, RawTransaction):
        return "transaction"
    if isinstance(body, dict) and ("user_id" in body or "amount" in body):
        return "transaction"
    return "features"


PredictRequest = Annotated[
    Annotated[PredictFeatures, Tag("features")] | Annotated[PredictTransaction, Tag("transaction")],
    Discriminator(_kind),
]
PredictItem = Annotated[
    Annotated[Features, Tag("features")] | Annotated[RawTransaction, Tag("transaction")],
    Discriminator(_kind),
]


class PredictBatch(_Body):
    """Several features or transactions, in any mix."""

    items: Annotated[list[PredictItem], Field(min_length=1, max_length=MAX_ITEMS)]


# Responses are typed dictionaries: rows of the database become JSON without being validated.
class ScoreResult(TypedDict):
    """The score of the model. `probability` is the confidence in `prediction`."""

    prediction: int
    probability: float
    flag: str
    fraud_probability: float
    model_version: str


class Contribution(TypedDict):
    """What a feature's value added to the model's output."""

    rank: int
    feature: str
    value: float | None
    contribution: float
    reason_code: str
    reason: str


class Reason(TypedDict):
    """A theme of features that raised the score."""

    rank: int
    reason_code: str
    reason: str
    contribution: float
    features: list[str]


class Explanation(TypedDict):
    """Base and contributions add up to the model's output. `base` names what the base value is an average over."""

    model_version: str
    output: str
    background: str
    base: str
    base_value: float
    language: str
    catalog: str
    reasons: list[Reason]
    contributions: list[Contribution]


class DecisionExplanation(Explanation):
    """The explanation of a stored decision."""

    user_id: int
    transaction_id: int
    fraud_flag: str
    fraud_probability: float


class Prediction(ScoreResult):
    """The score of the model. `probability` is the confidence in `prediction`."""

    message: str
    explanation: NotRequired[Explanation]


class Predictions(TypedDict):
    """Scores in the order of the items."""

    predictions: list[ScoreResult]
    message: str


class Decision(TypedDict):
    """A stored transaction and its decision; null when no model was deployed or it failed."""

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
    """A stored label; several for one transaction are its history."""

    label_id: int
    user_id: int
    transaction_id: int
    is_fraud: bool
    labelled_at: datetime
    source: str


class ModelInfo(BaseModel):
    """The registry row of the champion."""

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
    """An error as in RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = None
