"""Sign-in attempts are counted for the portal as a whole, however many processes serve it."""

from django.test import Client
from pytest_django import Settings

from conversations.models import CacheEntry, User

LOGIN = "/accounts/login/"


def is_refused(address: str) -> bool:
    answer = Client().post(LOGIN, {"login": address, "password": "wrong"})
    return "Too many" in answer.content.decode()


def test_attempts_outlive_the_process_in_a_table_of_their_own(alice: User) -> None:
    assert not is_refused(alice.email)
    assert CacheEntry.objects.count() >= 2  # this person's, this address's


def test_no_more_attempts_are_remembered_than_set(alice: User, settings: Settings) -> None:
    from django.core.cache import caches

    settings.CACHES["default"]["OPTIONS"]["MAX_ENTRIES"] = 50
    del caches["default"]
    try:
        for number in range(120):
            caches["default"].set(f"attempt-{number}", [1.0], 300)
        assert CacheEntry.objects.count() <= 51
    finally:
        settings.CACHES["default"]["OPTIONS"]["MAX_ENTRIES"] = 20_000
        del caches["default"]
