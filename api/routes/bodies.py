"""JSON bodies as bytes: pydantic validates what came in, and the same type describes it in the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from functools import cached_property
from typing import Any, Generic, TypeVar

from fastapi import Request, Response
from fastapi.routing import APIRoute
from pydantic import TypeAdapter, ValidationError

from api import schemas
from api.columns import key_type
from api.problems import invalid_body, invalid_field
from api.schemas import Label, NewTransaction, ReviewClaim, ReviewDecision, ReviewReopening
from rowguard.declaration import declared

Body = TypeVar("Body")
_REF = "#/components/schemas/{model}"


class RequestRoute(APIRoute):
    """A route whose endpoint takes the request and returns the response: there are no parameters to resolve."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the endpoint itself."""
        return self.endpoint


class JsonBody(Generic[Body]):
    """The body of an endpoint that takes the request itself.

    Args:
        type: Returns what the body is validated as; called when the first body comes.
        name: Its name in the OpenAPI document.
        examples: Examples of it by name.
    """

    def __init__(self, type: Callable[[], Any], name: str, **examples: Any) -> None:
        self._type, self._name = type, name
        content = {
            "schema": {"$ref": _REF.format(model=name)},
            "examples": {key: {"value": value} for key, value in examples.items()},
        }
        self.openapi = {"requestBody": {"required": True, "content": {"application/json": content}}}

    @cached_property
    def _adapter(self) -> TypeAdapter[Body]:
        return TypeAdapter(self._type())

    def schemas(self) -> dict[str, Any]:
        """Return name → JSON schema of the body and of its parts."""
        schema = self._adapter.json_schema(ref_template=_REF)
        return {**schema.pop("$defs", {}), self._name: schema}

    async def read(self, request: Request) -> Body:
        """Validate the body.

        Raises:
            ApiProblem: 422; names every malformed field.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
            raise invalid_field("body", "is not application/json")
        content = await request.body()
        try:
            return self._adapter.validate_json(content)
        except ValidationError as error:
            raise invalid_body(self._with_fields(content, error)) from None

    def _with_fields(self, content: bytes, error: ValidationError) -> ValidationError:
        """Name the field where only pydantic rejects the text as JSON, as with a lone surrogate."""
        if error.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid":
            try:
                self._adapter.validate_python(json.loads(content))
            except ValidationError as named:
                return named
            except (ValueError, RecursionError):
                pass
        return error


FEATURES_EXAMPLE = {
    "transaction_amount": 450.75,
    "time_since_last_txn": 1.5,
    "num_txns_last_hour": 12,
    "user_location_match": True,
}
TRANSACTION_EXAMPLE = {"user_id": 42, "amount": 450.75, "occurred_at": "2026-11-23T12:00:00Z"}
LABEL_EXAMPLE = {"user_id": 42, "transaction_id": 991, "is_fraud": True, "source": "chargeback"}

PREDICT: JsonBody[Any] = JsonBody(
    schemas.predict_request, "PredictRequest", features=FEATURES_EXAMPLE, transaction=TRANSACTION_EXAMPLE
)
PREDICT_BATCH: JsonBody[Any] = JsonBody(
    schemas.predict_batch, "PredictBatch", batch={"items": [FEATURES_EXAMPLE, TRANSACTION_EXAMPLE]}
)
TRANSACTION: JsonBody[NewTransaction] = JsonBody(
    schemas.new_transaction,
    "NewTransaction",
    transaction=TRANSACTION_EXAMPLE,
    external_id={**TRANSACTION_EXAMPLE, "external_id": "ch_3PqX"},
)
LABEL: JsonBody[Label] = JsonBody(schemas.label, "Label", label=LABEL_EXAMPLE)
REVIEW_CLAIM: JsonBody[ReviewClaim] = JsonBody(
    lambda: ReviewClaim, "ReviewClaim", next={}, one={"case_id": 12}
)
REVIEW_DECISION: JsonBody[ReviewDecision] = JsonBody(
    lambda: ReviewDecision,
    "ReviewDecision",
    decision={"case_ids": [12], "decision": "fraud", "note": "called"},
)
REVIEW_REOPENING: JsonBody[ReviewReopening] = JsonBody(
    lambda: ReviewReopening, "ReviewReopening", reopening={"note": "the user called back"}
)

RULES_EXAMPLE = {
    "rules": [
        {
            "name": "large_amount",
            "when": "amount > 500 AND location <> home_location",
            "action": "review",
            "reason_code": "large",
            "reason": "Large amount away from home",
            "mode": "shadow",
        }
    ]
}
EXCEPTION_EXAMPLE = {
    "rule": "large_amount",
    "user_id": "42",
    "ends_at": "2027-01-31T00:00:00Z",
    "reason": "house purchase",
}

RULES: JsonBody[Any] = JsonBody(lambda: schemas.Rules, "Rules", rules={"document": RULES_EXAMPLE})
BACKTEST: JsonBody[Any] = JsonBody(lambda: schemas.Backtest, "Backtest", backtest={"document": RULES_EXAMPLE})
DRAFT: JsonBody[Any] = JsonBody(
    lambda: schemas.Draft, "Draft", draft={"document": RULES_EXAMPLE, "note": "first"}
)
ROLLBACK: JsonBody[Any] = JsonBody(lambda: schemas.Rollback, "Rollback", rollback={"version": 3})
EXCEPTION: JsonBody[Any] = JsonBody(
    lambda: schemas.RuleException, "RuleException", exception=EXCEPTION_EXAMPLE
)
LIST: JsonBody[Any] = JsonBody(
    lambda: schemas.NewList, "NewList", list={"name": "blocked_users", "column": "user_id", "kind": "block"}
)
ENTRIES: JsonBody[Any] = JsonBody(
    lambda: schemas.ListEntries, "ListEntries", entries={"entries": [{"key": "42", "reason": "ticket 77"}]}
)
KEYS: JsonBody[Any] = JsonBody(lambda: schemas.ListKeys, "ListKeys", keys={"keys": ["42"]})


def component_schemas() -> dict[str, Any]:
    """Return the schemas of bodies, of the decision and of a user's id, for the OpenAPI document of this database."""
    components: dict[str, Any] = {}
    outcomes = (
        RULES,
        BACKTEST,
        DRAFT,
        ROLLBACK,
        EXCEPTION,
        LIST,
        ENTRIES,
        KEYS,
        REVIEW_CLAIM,
        REVIEW_DECISION,
        REVIEW_REOPENING,
    )
    for body in (PREDICT, PREDICT_BATCH, TRANSACTION, LABEL, *outcomes):
        components |= body.schemas()
    others = {"Decision": schemas.decision(), "UserId": key_type(declared())}
    return components | {
        name: TypeAdapter(type_).json_schema(ref_template=_REF) for name, type_ in others.items()
    }
