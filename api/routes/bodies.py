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
from api.problems import invalid_body, invalid_field
from api.schemas import Label, RawTransaction, ReviewClaim, ReviewDecision, ReviewReopening

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


def read_integer(name: str, text: str, least: int, most: int) -> int:
    """Read an integer of a path or a query.

    Raises:
        ApiProblem: 422; it is none, or out of range.
    """
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 19 and least <= int(text) <= most):
        raise invalid_field(name, f"is no integer from {least} to {most}")
    return int(text)


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
TRANSACTION: JsonBody[RawTransaction] = JsonBody(
    schemas.raw_transaction, "RawTransaction", transaction=TRANSACTION_EXAMPLE
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


def component_schemas() -> dict[str, Any]:
    """Return the schemas of all bodies, and of the decision, for the OpenAPI document of this database."""
    components: dict[str, Any] = {}
    for body in (PREDICT, PREDICT_BATCH, TRANSACTION, LABEL, REVIEW_CLAIM, REVIEW_DECISION, REVIEW_REOPENING):
        components |= body.schemas()
    return components | {"Decision": TypeAdapter(schemas.decision()).json_schema(ref_template=_REF)}
