"""Settings from the environment: nonsense is refused by name, and limits reach their use."""

import re
import runpy
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from pytest_django import Settings

from chatweb import env
from chatweb.databases import POSTGRESQL
from conversations import catalogue
from conversations.actions import people
from conversations.models import OneTimeLink, User
from tests.processes import ROOT

Read = Callable[..., dict[str, Any]]
SOURCE = "".join((ROOT / "chatweb" / name).read_text() for name in ("settings.py", "limits.py"))
TYPED = re.findall(r"env\.(integer|seconds|switch)\(\s*\"(\w+)\"", SOURCE)
DECLARED = tuple(env.DECLARED)
NUMBERS = {name: kind for kind, name in TYPED if kind != "switch"}
SWITCHES = [name for kind, name in TYPED if kind == "switch"]


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Read:
    """Reads the settings afresh with these variables."""
    for name in list(env.DECLARED):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))

    def read(**variables: str) -> dict[str, Any]:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delitem(sys.modules, "chatweb.limits", raising=False)
        return runpy.run_path(str(ROOT / "chatweb" / "settings.py"))

    return read


# --- Readers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", ["", "x", "1.5", "0x10", "1e3", "-1", "101", "9" * 5000])
def test_a_whole_number_out_of_range_is_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, raw: str
) -> None:
    monkeypatch.setenv("SOME_LIMIT", raw)
    with pytest.raises(ImproperlyConfigured, match="SOME_LIMIT"):
        env.integer("SOME_LIMIT", 5, low=0, high=100, why="a test")


@pytest.mark.parametrize("raw", ["", "x", "nan", "inf", "-inf", "1e400", "-0.1", "10.1", "1s"])
def test_seconds_out_of_range_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, raw: str
) -> None:
    monkeypatch.setenv("SOME_TIME", raw)
    with pytest.raises(ImproperlyConfigured, match="SOME_TIME"):
        env.seconds("SOME_TIME", 5, low=0, high=10, why="a test")


@pytest.mark.parametrize("raw", ["maybe", "2", "onn", "nö"])
def test_a_switch_is_on_or_off(monkeypatch: pytest.MonkeyPatch, raw: str) -> None:
    monkeypatch.setenv("SOME_SWITCH", raw)
    with pytest.raises(ImproperlyConfigured, match="SOME_SWITCH"):
        env.switch("SOME_SWITCH", False, why="a test")


@pytest.mark.parametrize(
    ("raw", "value"), [("on", True), (" TRUE ", True), ("1", True), ("no", False), ("", False)]
)
def test_a_switch_knows_the_usual_words(
    monkeypatch: pytest.MonkeyPatch, raw: str, value: bool
) -> None:
    monkeypatch.setenv("SOME_SWITCH", raw)
    assert env.switch("SOME_SWITCH", not value, why="a test") is value


def test_words_are_split_at_commas_without_blanks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_WORDS", " a, b ,,c ")
    assert env.words("SOME_WORDS", why="a test") == ["a", "b", "c"]


@pytest.fixture(autouse=True)
def _declared() -> Iterator[None]:
    """What these tests declare is no setting of the portal."""
    before = dict(env.DECLARED)
    yield
    env.DECLARED.clear()
    env.DECLARED.update(before)


# --- The portal's settings ------------------------------------------------------------------------


def test_the_defaults_need_nothing(read: Read) -> None:
    values = read()
    assert values["DEBUG"] is False
    assert values["UPSTREAM_BASE_URL"] == ""
    assert values["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]


@pytest.mark.parametrize("name", sorted(NUMBERS))
@pytest.mark.parametrize("raw", ["many", "-1", "99999999999"])
def test_every_number_refuses_nonsense_by_name(read: Read, name: Any, raw: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=name):
        read(**{name: raw})


@pytest.mark.parametrize("name", SWITCHES)
def test_every_switch_refuses_nonsense_by_name(read: Read, name: Any) -> None:
    with pytest.raises(ImproperlyConfigured, match=name):
        read(**{name: "perhaps"})


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("UPSTREAM_BASE_URL", "models.example/v1"),
        ("UPSTREAM_BASE_URL", "ftp://models.example/v1"),
        ("UPSTREAM_BASE_URL", "http://"),
        ("UPSTREAM_BASE_URL", "http://models.example:many/v1"),
        ("UPSTREAM_BASE_URL", "http://[::1/v1"),
        ("UPSTREAM_BASE_URL", "https://models.example/v1?key=1"),
        ("UPSTREAM_API_KEY", "two words"),
        ("UPSTREAM_API_KEY", "schlüssel"),
        ("UPSTREAM_MODELS", ","),
        ("UPSTREAM_CA_FILE", "/nowhere/authority.pem"),
        ("TRUSTED_ORIGINS", "chat.example"),
        ("TRUSTED_ORIGINS", "https://chat.example/path"),
        ("PORTAL_LOGO_URL", "https://elsewhere.example/logo.png"),
        ("PORTAL_TERMS_URL", "javascript:alert(1)"),
        ("LANGUAGE_CODE", "tlh"),
        ("TIME_ZONE", "Nowhere/Land"),
        ("TIME_ZONE", ""),
        ("LOG_LEVEL", "LOUD"),
    ],
)
def test_words_that_mean_nothing_are_refused_by_name(read: Read, name: Any, raw: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=name):
        read(**{name: raw})


def test_what_may_hold_a_secret_is_not_repeated_when_it_is_refused(read: Read) -> None:
    for name, raw in (
        ("UPSTREAM_BASE_URL", "https://me:canary-77@models.example/v1"),
        ("UPSTREAM_API_KEY", "canary-77 canary-77"),
    ):
        with pytest.raises(ImproperlyConfigured) as caught:
            read(**{name: raw})
        assert "canary-77" not in str(caught.value)
        read(**{name: ""})


def test_what_means_something_is_taken(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "authority.pem"
    file.touch()
    values = read(
        UPSTREAM_BASE_URL="http://[::1]:8080/v1",
        UPSTREAM_CA_FILE=str(file),
        TRUSTED_ORIGINS="https://chat.example, http://10.0.0.1:8000",
        PORTAL_LOGO_URL="/static/logo.svg",
        PORTAL_TERMS_URL="https://example.com/terms",
        TIME_ZONE="Europe/Berlin",
        LANGUAGE_CODE="en",
        LOG_LEVEL="ERROR",
    )
    assert values["CSRF_TRUSTED_ORIGINS"] == ["https://chat.example", "http://10.0.0.1:8000"]
    assert values["UPSTREAM_CA_FILE"] == str(file)
    assert (values["TIME_ZONE"], values["LANGUAGE_CODE"]) == ("Europe/Berlin", "en")
    assert values["LOGGING"]["root"]["level"] == "ERROR"


def test_a_star_for_a_host_is_refused_without_debug(read: Read) -> None:
    with pytest.raises(ImproperlyConfigured, match="ALLOWED_HOSTS"):
        read(ALLOWED_HOSTS="*")
    assert read(ALLOWED_HOSTS="*", DEBUG="on")["ALLOWED_HOSTS"] == ["*"]


def test_a_token_that_could_be_guessed_is_refused(read: Read) -> None:
    with pytest.raises(ImproperlyConfigured, match="METRICS_TOKEN"):
        read(METRICS_TOKEN="guess me")
    assert len(read(METRICS_TOKEN="x" * 16)["METRICS_TOKEN"]) == 16


def test_postgresql_comes_with_a_bounded_pool_that_waits_for_a_while(read: Read) -> None:
    values = read(
        DATABASE_URL="postgres://chat:secret@db/chat", DATABASE_POOL="7", DATABASE_TIMEOUT="9"
    )
    database = values["DATABASES"]["default"]
    assert (database["ENGINE"], database["HOST"], database["NAME"]) == (POSTGRESQL, "db", "chat")
    pool = database["OPTIONS"]["pool"]
    assert (pool["max_size"], pool["timeout"]) == (7, 9)
    assert "lock_timeout=9000" in database["OPTIONS"]["options"]
    assert values["CONN_MAX_AGE"] == 0
    assert database["CONN_HEALTH_CHECKS"] is True
    assert pool["reconnect_timeout"] == 5


@pytest.mark.parametrize("url", ["mysql://chat@db/chat", "oracle://chat@db/chat"])
def test_another_database_is_refused_by_name(read: Read, url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
        read(DATABASE_URL=url)


def test_without_redis_a_process_is_alone(read: Read) -> None:
    assert read()["CHANNEL_LAYERS"] == {}


def test_several_redis_share_the_load(read: Read) -> None:
    values = read(REDIS_URL="redis://one:6379/0,rediss://two:6380/0", REDIS_TIMEOUT="3")
    hosts = values["CHANNEL_LAYERS"]["default"]["CONFIG"]["hosts"]
    assert [host["address"] for host in hosts] == ["redis://one:6379/0", "rediss://two:6380/0"]
    assert [host["socket_timeout"] for host in hosts] == [3, 3]


def test_an_address_that_is_no_redis_is_refused_by_name(read: Read) -> None:
    with pytest.raises(ImproperlyConfigured, match="REDIS_URL"):
        read(REDIS_URL="localhost:6379")


def test_tls_makes_cookies_strict(read: Read) -> None:
    values = read(SECURE="on")
    assert values["SESSION_COOKIE_NAME"].startswith("__Host-")
    assert values["CSRF_COOKIE_NAME"].startswith("__Host-")
    assert values["SESSION_COOKIE_SECURE"] is values["CSRF_COOKIE_SECURE"] is True
    assert values["SECURE_SSL_REDIRECT"] is True


def test_a_proxys_word_on_the_scheme_is_taken_only_when_asked_for(read: Read) -> None:
    assert "SECURE_PROXY_SSL_HEADER" not in read()
    assert read(BEHIND_PROXY="on")["SECURE_PROXY_SSL_HEADER"] == (
        "HTTP_X_FORWARDED_PROTO",
        "https",
    )


def test_the_secret_key_is_made_once_kept_and_readable_by_us_alone(
    read: Read, tmp_path: Path
) -> None:
    first, second = read()["SECRET_KEY"], read()["SECRET_KEY"]
    assert first == second
    assert len(first) >= 50
    assert Path(tmp_path / "data" / "secret-key").stat().st_mode & 0o077 == 0


def test_a_secret_key_that_is_given_is_kept_nowhere(read: Read, tmp_path: Path) -> None:
    assert read(SECRET_KEY="given by the operator")["SECRET_KEY"] == "given by the operator"
    assert not (tmp_path / "data" / "secret-key").exists()


def test_at_most_three_first_prompts_are_shown(read: Read) -> None:
    assert read(FIRST_PROMPTS="a| b ||c|d")["FIRST_PROMPTS"] == ["a", "b", "c"]


def test_wrong_passwords_are_limited_as_set(
    read: Read, client: Client, alice: User, settings: Settings
) -> None:
    values = read(FAILED_SIGNINS_PER_PERSON="2", SIGNINS_PER_ADDRESS="4")
    settings.ACCOUNT_RATE_LIMITS = values["ACCOUNT_RATE_LIMITS"]

    def sign_in(login: str) -> Any:
        return client.post("/accounts/login/", {"login": login, "password": "wrong"})

    for _ in range(2):
        assert "Too many" not in sign_in("alice@example.com").content.decode()
    assert "Too many" in sign_in("alice@example.com").content.decode()
    assert "Too many" not in sign_in("bob@example.com").content.decode()
    refused = sign_in("charlie@example.com")
    assert refused.status_code == 429
    assert "Wait a minute" in refused.content.decode()


def test_wrong_passwords_of_one_address_are_limited_as_set(
    read: Read, client: Client, db: None, settings: Settings
) -> None:
    settings.ACCOUNT_RATE_LIMITS = read(FAILED_SIGNINS_PER_ADDRESS="1")["ACCOUNT_RATE_LIMITS"]
    pages = [
        client.post("/accounts/login/", {"login": f"{name}@example.com", "password": "wrong"})
        for name in ("alice", "bob")
    ]
    assert ["Too many" in page.content.decode() for page in pages] == [False, True]


def test_a_writer_waits_for_the_database_as_long_as_set(read: Read) -> None:
    values = read(DATABASE_TIMEOUT="3")
    assert values["DATABASES"]["default"]["OPTIONS"]["timeout"] == 3


def test_a_browser_stays_signed_in_as_long_as_set(
    read: Read, client: Client, alice: User, settings: Settings
) -> None:
    settings.SESSION_COOKIE_AGE = read(SESSION_DAYS="3")["SESSION_COOKIE_AGE"]
    form = {"login": alice.email, "password": "correct horse battery"}
    client.post("/accounts/login/", form)
    assert client.cookies[settings.SESSION_COOKIE_NAME]["max-age"] == 3 * 86_400


def test_the_portal_looks_as_set(client: Client, db: None, settings: Settings) -> None:
    settings.PORTAL_NAME, settings.PORTAL_LOGO_URL = "Initech", "/static/logo.svg"
    settings.PORTAL_ACCENT_HUE = 33
    html = client.get("/accounts/login/").content.decode()
    assert "<title>Sign in · Initech</title>" in html
    assert 'src="/static/logo.svg"' in html
    assert "--accent-h: 33;" in client.get("/brand.css").content.decode()


def test_an_invitation_lives_as_long_as_set(alice: User, settings: Settings) -> None:
    settings.SIGNIN_LINK_HOURS = 7
    people.invite(user=alice, actor=None)
    link = OneTimeLink.objects.get()
    assert link.expires_at - link.created_at == timedelta(hours=7)


def test_the_page_of_people_is_as_long_as_set(
    client: Client, operator: User, alice: User, bob: User, settings: Settings
) -> None:
    settings.PEOPLE_PAGE = 2
    client.force_login(operator, backend="django.contrib.auth.backends.ModelBackend")
    pages = [client.get("/people/", {"page": number}).content.decode() for number in (1, 2)]
    assert [page.count('class="person-mail"') for page in pages] == [2, 1]


def test_every_setting_is_tried_by_a_test() -> None:
    """By its own name or, where it has another one, by that of what it becomes."""
    tests = "".join(path.read_text() for path in (ROOT / "tests").rglob("*.py"))
    words = set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", tests))
    assert [
        name for name in DECLARED if name not in (words if name.isidentifier() else tests)
    ] == []


def test_every_limit_and_time_of_the_upstream_reaches_its_client(settings: Settings) -> None:
    settings.UPSTREAM_CONNECT_TIMEOUT, settings.UPSTREAM_FIRST_TOKEN_TIMEOUT = 1, 2
    settings.UPSTREAM_IDLE_TIMEOUT, settings.UPSTREAM_TOTAL_TIMEOUT = 3, 4
    settings.EVENT_MAX_BYTES, settings.ANSWER_MAX_BYTES = 5000, 6000
    settings.UPSTREAM_RETRIES, settings.UPSTREAM_RETRY_BUDGET = 7, 8
    settings.UPSTREAM_KEEPALIVE, settings.UPSTREAM_API_KEY = 9, "test-key"
    settings.UPSTREAM_AFTER_END_TIMEOUT, settings.UPSTREAM_ERROR_TIMEOUT = 10, 11
    settings.UPSTREAM_SLOT_TIMEOUT, settings.GENERATIONS_PER_PROCESS = 12, 13
    settings.UPSTREAM_BODY_MAX_BYTES, settings.UPSTREAM_JSON_MAX_BYTES = 14000, 15000
    settings.UPSTREAM_ERROR_MAX_BYTES, settings.UPSTREAM_CA_FILE = 16000, "authority.pem"
    settings.UPSTREAM_SENDS_FINISH_REASON, settings.UPSTREAM_TRUST_ENV = False, True
    server = catalogue.upstream()
    assert server is not None
    times, limits = server.timeouts, server.limits
    assert (times.connect, times.first_token, times.between_tokens, times.total) == (1, 2, 3, 4)
    assert (limits.event_bytes, limits.answer_bytes) == (5000, 6000)
    assert (limits.retries, limits.retry_budget, limits.keepalive) == (7, 8, 9)
    assert (times.after_end, times.error, times.slot) == (10, 11, 12)
    assert (limits.body_bytes, limits.json_bytes, limits.error_bytes) == (14000, 15000, 16000)
    assert limits.connections > 13
    assert server.ca_file == "authority.pem"
    assert (server.finish_reason_required, server.trust_env) == (False, True)
    assert server.api_key == "test-key"
    assert "test-key" not in repr(server)


# --- Several servers ------------------------------------------------------------------------------


def test_servers_are_named_and_each_has_settings_of_its_own(read: Read, tmp_path: Path) -> None:
    authority = tmp_path / "authority.pem"
    authority.touch()
    values = read(
        UPSTREAMS="main,lab-2",
        UPSTREAM_BASE_URL="https://models.example/v1",
        UPSTREAM_LAB_2_BASE_URL="http://lab.internal:8000/v1",
        UPSTREAM_LAB_2_API_KEY="lab-key",
        UPSTREAM_LAB_2_MODELS="tiny,small",
        UPSTREAM_LAB_2_CONTINUES="on",
        UPSTREAM_LAB_2_SENDS_FINISH_REASON="off",
        UPSTREAM_LAB_2_CA_FILE=str(authority),
    )
    (lab,) = values["UPSTREAM_SERVERS"].values()
    assert (lab.name, lab.base_url) == ("lab-2", "http://lab.internal:8000/v1")
    assert (lab.models, lab.continues, lab.sends_finish_reason) == (("tiny", "small"), True, False)
    assert (lab.api_key, lab.ca_file) == ("lab-key", str(authority))
    assert "lab-key" not in repr(values["UPSTREAM_SERVERS"])


def test_one_server_needs_no_name(read: Read) -> None:
    values = read(UPSTREAM_BASE_URL="https://models.example/v1")
    assert values["UPSTREAMS"] == ["main"]
    assert values["UPSTREAM_SERVERS"] == {}


# Explained in the README as these.
OF_A_SERVER = {
    "UPSTREAM_<NAME>_BASE_URL": "lab.internal/v1",
    "UPSTREAM_<NAME>_API_KEY": "canary 77",
    "UPSTREAM_<NAME>_MODELS": " , ",
    "UPSTREAM_<NAME>_CONTINUES": "perhaps",
    "UPSTREAM_<NAME>_SENDS_FINISH_REASON": "perhaps",
    "UPSTREAM_<NAME>_CA_FILE": "/nowhere.pem",
}


@pytest.mark.parametrize("pattern", sorted(OF_A_SERVER))
def test_nonsense_about_a_server_is_refused_by_name(read: Read, pattern: str) -> None:
    name = pattern.replace("<NAME>", "LAB")
    variables = {"UPSTREAMS": "main,lab", "UPSTREAM_LAB_BASE_URL": "http://lab.internal/v1"}
    with pytest.raises(ImproperlyConfigured, match=name) as refused:
        read(**(variables | {name: OF_A_SERVER[pattern]}))
    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    "names", ["Main", "main,lab_2", "main,local", "main,main", "lab", "a" * 41]
)
def test_a_list_of_servers_that_cannot_be_meant_is_refused(read: Read, names: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="UPSTREAM"):
        read(UPSTREAMS=names, UPSTREAM_BASE_URL="https://models.example/v1")


@pytest.mark.parametrize("raw", ["eur", "EURO", "", "€"])
def test_a_currency_is_a_code_of_three_letters(read: Read, raw: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="CURRENCY"):
        read(CURRENCY=raw)
