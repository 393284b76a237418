"""POST /labels."""

from __future__ import annotations

from fastapi import APIRouter, Request

from api.access import require_scope
from api.problems import RESPONSES
from api.repository import Repository
from api.routes.bodies import LABEL
from api.schemas import StoredLabel

router = APIRouter(tags=["feedback"], responses=RESPONSES)


@router.post(
    "/labels",
    summary="Store a label",
    status_code=201,
    openapi_extra=require_scope("label") | LABEL.openapi,
    responses={404: {"description": "The transaction does not exist."}},
)
async def create_label(request: Request) -> StoredLabel:
    """Store a label; a correction is a further label, and the latest one counts."""
    label = await LABEL.read(request)
    repository: Repository = request.app.state.repository
    return StoredLabel(**await repository.insert_label(label.model_dump()))
