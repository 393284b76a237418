"""schemathesis over the whole document: every operation, good and bad input, checked against what is promised."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import CHECKS

from tests.api.conftest import Api
from tests.api.tokens import SCOPES, bearer, token

EXAMPLES = 60


@pytest.fixture(scope="module")
def schema(guarded_api: Api) -> Any:
    return schemathesis.openapi.from_url(f"{guarded_api.client.base_url}/openapi.json")


document = schemathesis.pytest.from_fixture("schema")


@document.parametrize()
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_operation_keeps_its_promises(case: Any) -> None:
    case.call_and_validate(headers=bearer(token(*SCOPES)))


def test_all_checks_are_there() -> None:
    """A schemathesis that checked less would pass unseen."""
    names = set(CHECKS.get_all_names())
    assert {
        "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance",
        "negative_data_rejection", "positive_data_acceptance", "ignored_auth", "unsupported_method",
    } <= names  # fmt: skip
