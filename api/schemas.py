"""Bodies of requests and responses."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal, NotRequired
from uuid import UUID

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    WithJsonSchema,
    create_model,
)
from typing_extensions import TypedDict

from api.columns import request_fields, response_fields
from api.scalars import (
    Amount,
    AnyTime,
    Count,
    ExternalId,
    FeatureAmount,
    Id,
    KeyText,
    LongText,
    Minutes,
    Note,
    Text,
    Time,
)

MAX_ITEMS = 1_000


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
    """A transaction; the database computes its velocity features. `raw_transaction` has the declared columns."""

    user_id: Any
    amount: Amount
    occurred_at: Time | None = Field(None, description="Default: now. A time zone is required.")


class NewTransaction(RawTransaction):
    """A transaction to store; `new_transaction` has the declared columns."""

    external_id: ExternalId | None = Field(
        None, description="Its id in your other systems, unique per user. Labels can be joined by it."
    )


class PredictFeatures(Features):
    """Four features to score; `explain` adds the contribution of each feature and the reasons."""

    explain: bool = Field(False, description="Add the explanation.")


class Label(_Body):
    """A label of a stored transaction; `label` has its user."""

    user_id: Any
    transaction_id: Id
    is_fraud: bool = Field(strict=True)
    labelled_at: Time | None = Field(None, description="When it became known. Default: now.")
    source: Text = Field("api", min_length=1)


class ReviewClaim(_Body):
    """Which case to claim."""

    case_id: Id | None = Field(None, description="Default: the most urgent open one.")


class ReviewDecision(_Body):
    """A decision about cases; `unsure` writes no label."""

    case_ids: list[Id] = Field(min_length=1, max_length=1_000)
    decision: Literal["fraud", "legitimate", "unsure"]
    note: Note | None = None
    transactions: Count | None = Field(
        None,
        description="How many transactions the reviewer saw; if others joined since, nothing is decided.",
    )
    list_name: Text | None = Field(
        None, min_length=1, description="Put their values of this list's column on it."
    )
    expires_at: AnyTime | None = Field(None, description="When those entries expire.")


class ReviewReopening(_Body):
    """Why a case is opened again."""

    note: Note | None = None


def _kind(body: Any) -> str:
    if isinstance(body, RawTransaction):
        return "transaction"
    if isinstance(body, dict) and ("user_id" in body or "amount" in body):
        return "transaction"
    return "features"


@cache
def raw_transaction() -> type[RawTransaction]:
    """Return the body of a transaction with the columns that this database declares."""
    doc = "A transaction; the database computes its velocity features."
    return create_model("RawTransaction", __base__=RawTransaction, __doc__=doc, **request_fields())


@cache
def new_transaction() -> type[NewTransaction]:
    """Return the body of a transaction to store, with the columns that this database declares."""
    doc = "A transaction to store and decide; the database computes its velocity features."
    return create_model("NewTransaction", __base__=NewTransaction, __doc__=doc, **request_fields())


@cache
def label() -> type[Label]:
    """Return the body of a label."""
    fields = {"user_id": request_fields()["user_id"]}
    return create_model("Label", __base__=Label, __doc__="A label of a stored transaction.", **fields)


@cache
def predict_request() -> Any:
    """Return what POST /predict takes: four features or a transaction, and whether to explain the score."""
    doc = "A transaction to score; `explain` adds the contribution of each feature and the reasons."
    explain: Any = (bool, Field(False, strict=True, description="Add the explanation."))
    transaction = create_model("PredictTransaction", __base__=raw_transaction(), __doc__=doc, explain=explain)
    return Annotated[
        Annotated[PredictFeatures, Tag("features")] | Annotated[transaction, Tag("transaction")],
        Discriminator(_kind),
    ]


@cache
def predict_batch() -> type[BaseModel]:
    """Return what POST /predict/batch takes: several features or transactions, in any mix."""
    item: Any = Annotated[
        Annotated[Features, Tag("features")] | Annotated[raw_transaction(), Tag("transaction")],
        Discriminator(_kind),
    ]
    items: Any = (Annotated[list[item], Field(min_length=1, max_length=MAX_ITEMS)], ...)
    return create_model(
        "PredictBatch", __base__=_Body, __doc__="Several features or transactions.", items=items
    )


@cache
def decision() -> Any:
    """Return a stored transaction and its decision, with the columns that this database declares."""
    fields = {**Decision.__annotations__, **response_fields()}
    typed: Any = TypedDict("Decision", fields)  # type: ignore[misc]
    typed.__doc__ = Decision.__doc__
    return typed


class Rules(_Body):
    """A rule set as rules.yml has it: failure_outcome, thresholds and rules."""

    document: dict[str, Any]


class Draft(Rules):
    """A draft of a rule set, and why it is made."""

    note: LongText = ""


class Backtest(Rules):
    """A rule set to evaluate, the event times, and the one rule that counts, by default all."""

    start: AnyTime | None = Field(None, alias="from")
    end: AnyTime | None = Field(None, alias="to")
    rule: Text | None = None


class Rollback(_Body):
    """The version to put in force; 0 is none, null the one before the current."""

    version: Annotated[int, Field(ge=0, le=999_999, strict=True)] | None = None


class RuleException(_Body):
    """No rule of this name for this user until it ends, and why."""

    rule: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    user_id: KeyText
    ends_at: AnyTime
    reason: Annotated[LongText, Field(min_length=1)]


class NewList(_Body):
    """A list of keys of one column."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,19}$")]
    column: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    kind: Literal["allow", "block", "review", "other"]
    description: LongText = ""


class ListEntry(_Body):
    """A key, when its entry expires, and why it is on the list."""

    key: KeyText
    expires_at: AnyTime | None = None
    reason: LongText | None = None


class ListEntries(_Body):
    """Keys to add."""

    entries: Annotated[list[ListEntry], Field(min_length=1, max_length=MAX_ITEMS)]


class ListKeys(_Body):
    """Keys to remove."""

    keys: Annotated[list[KeyText], Field(min_length=1, max_length=MAX_ITEMS)]


# Responses are typed dictionaries: rows of the database become JSON without being validated.
class ScoreResult(TypedDict):
    """The score of the model. `probability` is the confidence in `prediction`.

    A transaction also has the outcome that lists, model and rules give it; null while there are none of them.
    """

    prediction: int
    probability: float
    flag: str
    fraud_probability: float
    model_version: str
    outcome: NotRequired[str | None]
    outcome_reasons: NotRequired[list[str] | None]
    rule_set_version: NotRequired[int | None]


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
    """Base and contributions add up to the model's output, of a calibrated model to the score before calibration.

    `base` names what the base value is an average over.
    """

    model_version: str
    output: str
    is_calibrated: bool
    background: str
    base: str
    base_value: float
    language: str
    catalog: str
    reasons: list[Reason]
    contributions: list[Contribution]


class DecisionExplanation(Explanation):
    """The explanation of a stored decision."""

    user_id: int | str
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
    """A stored transaction, its decision, null when no model was deployed or it failed, and its outcome."""

    transaction_id: int
    external_id: str | None
    amount: Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
    occurred_at: datetime
    fraud_flag: str | None
    fraud_probability: float | None
    model_version: str | None
    unscored_reason: str | None
    outcome: str | None
    outcome_reasons: list[str] | None
    rule_set_version: int | None


class StoredLabel(BaseModel):
    """A stored label; several for one transaction are its history."""

    label_id: int
    user_id: int | UUID | str
    transaction_id: int
    is_fraud: bool
    labelled_at: datetime
    source: str


class ReviewCase(TypedDict):
    """The transactions of a user that wait for a decision, or were decided together."""

    case_id: int
    user_id: int | UUID | str
    state: str
    opened_at: datetime
    due_at: datetime
    claimed_by: str | None
    claimed_at: datetime | None
    decision: str | None
    note: str | None
    decided_by: str | None
    decided_at: datetime | None
    transaction_count: int
    amount_total: Annotated[Decimal, PlainSerializer(float, return_type=float, when_used="json")]
    max_fraud_probability: float | None


class ReviewCases(TypedDict):
    """Review cases."""

    cases: list[ReviewCase]


# As PostgreSQL writes a time within a JSON document.
TimeText = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]


class ReviewedTransaction(TypedDict):
    """A transaction of a case."""

    transaction_id: int
    occurred_at: TimeText
    amount: float
    fraud_flag: str | None
    fraud_probability: float | None
    model_version: str | None


class ReviewEvent(TypedDict):
    """An event of a case."""

    event_id: int
    recorded_at: TimeText
    actor: str
    action: str
    details: dict[str, Any]


class ReviewCaseDetails(ReviewCase):
    """A case with its transactions and its events."""

    transactions: list[ReviewedTransaction]
    events: list[ReviewEvent]


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
