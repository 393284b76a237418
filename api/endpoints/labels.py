"""POST /labels."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Body

from api.access import requires
from api.endpoints.dependencies import Database
from api.problems import RESPONSES
from api.schemas import Label, StoredLabel

router = APIRouter(tags=["feedback"], responses=RESPONSES)


@router.post(
    "/labels",
    summary="Say what was found out",
    status_code=201,
    openapi_extra=requires("label"),
    responses={404: {"description": "There is no such transaction."}},
)
async def create_label(
    body: Annotated[
        Label,
        Body(examples=[{"user_id": 42, "transaction_id": 991, "is_fraud": True, "source": "chargeback"}]),
    ],
    database: Database,
) -> StoredLabel:
    """Store a finding; corrections are further findings, the latest known counts."""
    return StoredLabel(**await database.insert_label(body.model_dump()))
