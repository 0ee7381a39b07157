"""Everything that the OpenAPI document allows and a lot that it does not, made up by schemathesis
and sent to a served portal: never a server error, and each answer as the document says."""

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from conversations.actions import keys
from conversations.models import User
from tests.processes import program
from tests.programs import port_of
from tests.relays import database_url
from tests.upstream import ScriptedUpstream

pytestmark = pytest.mark.django_db(transaction=True)

EXAMPLES = 150
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    unsupported_method,
]


@pytest.fixture
def base_url(transactional_db: None) -> Iterator[str]:
    with ScriptedUpstream.in_thread() as upstream:
        env = {
            "DJANGO_SETTINGS_MODULE": "chatweb.settings",
            "DATABASE_URL": database_url(),
            "UPSTREAM_BASE_URL": upstream.base_url,
            # Names that are found in no dictionary are no models: this one is made up easily.
            "UPSTREAM_MODELS": "crimson-falcon-4,0",
            "REQUESTS_PER_KEY": "1000000",
            "REQUESTS_PER_PERSON": "1000000",
        }
        with program("-m", "tests.portal_process", env=env) as running:
            yield f"http://127.0.0.1:{port_of(running)}"


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda one: str(one.value))
def test_no_request_is_answered_with_a_server_error(
    base_url: str, alice: User, mode: GenerationMode
) -> None:
    _key, token = keys.make(user=alice, actor=alice, name="Test")
    schema = schemathesis.openapi.from_url(f"{base_url}/v1/openapi.json")
    asked = 0
    for result in schema.get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]  # ours is no invalid document

        @given(case=operation.as_strategy(generation_mode=mode))
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: Any) -> None:
            nonlocal asked
            case.call_and_validate(headers={"Authorization": f"Bearer {token}"}, checks=CHECKS)
            asked += 1

        ask()
    assert asked > EXAMPLES
