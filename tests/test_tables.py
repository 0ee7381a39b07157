"""The tables, and the version before this one, which goes on with them (docs/deploy.md)."""

import pytest
from django.db import connection

from conversations.actions.messages import Sent

pytestmark = pytest.mark.django_db

# What came since the version before: it names all other columns when it inserts, and none of these.
SINCE = {
    "conversations_message": {"scope", "copied_from_id", "copied_generation_id"},
    "conversations_generation": {"draft", "drafts"},
    "conversations_conversation": {"forked_from_id", "forked_at_id"},
    "conversations_queuedturn": {"scope", "answers", "also"},
    "conversations_share": {"title", "with_notes", "with_branches"},
    "conversations_user": {"erased_at"},
}


@pytest.mark.parametrize("table", SINCE)
def test_what_came_since_has_a_default_in_the_table(sent: Sent, table: str) -> None:
    with connection.cursor() as cursor:
        described = connection.introspection.get_table_description(cursor, table)
    columns = {column.name: column for column in described}
    assert columns.keys() >= SINCE[table]
    for name in SINCE[table]:
        column = columns[name]
        assert column.null_ok or column.default is not None, name
