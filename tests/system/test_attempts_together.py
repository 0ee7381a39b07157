"""Wrong passwords count for the portal as a whole, in whichever of its processes they are tried."""

import pytest

from conversations.models import User
from tests.processes import program
from tests.relays import database_url
from tests.test_attempts import is_refused


def try_elsewhere(address: str, times: int) -> int:
    """How often another process lets them try."""
    env = {
        "DJANGO_SETTINGS_MODULE": "chatweb.settings",
        "DATABASE_URL": database_url(),
        "ALLOWED_HOSTS": "testserver",
    }
    with program("-m", "tests.attempts_process", address, str(times), env=env) as other:
        return int(other.line_with("tried ").split()[-1])


@pytest.mark.django_db(transaction=True)
def test_two_processes_count_wrong_passwords_together(alice: User, bob: User) -> None:
    assert not is_refused(alice.email)
    assert try_elsewhere(alice.email, 6) == 4  # five in five minutes, here and there
    assert is_refused(alice.email)
    assert not is_refused(bob.email)
