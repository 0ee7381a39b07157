"""Who gets what from the admin's addresses: members nothing, operators no conversation."""

import re

import pytest
from django.http import Http404

from conversations import access
from tests.test_access import World, patterns

pytestmark = pytest.mark.django_db

ADMIN = [path for _name, path in patterns() if path.startswith("admin/")]


@pytest.fixture
def world(db: None) -> World:
    return World()


def admin_path(pattern: str) -> str:
    path = re.sub(r"<(?:\w+:)?\w+>", "1", re.sub(r"\(\?P<\w+>[^)]*\)", "x", pattern))
    return "/" + path.replace("^", "").replace("$", "")


def test_the_admin_shows_members_nothing(world: World) -> None:
    for pattern in ADMIN:
        for who in ("anonymous", "suspended", "charlie", "owner"):
            for verb in ("GET", "POST"):
                response = world.ask(who, verb, admin_path(pattern))
                shown = {200} if pattern in {"admin/login/", "admin/jsi18n/"} else set()
                assert response.status_code in {302, 404, 405} | shown, (pattern, who, verb)
                assert b"Secret" not in response.content


@pytest.mark.parametrize("who", ["operator", "root"])
def test_running_the_portal_shows_no_conversation(world: World, who: str) -> None:
    for pattern in ADMIN:
        response = world.ask(who, "GET", admin_path(pattern))
        assert response.status_code in {200, 302, 404, 405}
        assert b"Secret" not in response.content
    with pytest.raises(Http404):
        access.reviewed_conversation(world.people[who], world.rows["theirs"]["conversation"])
