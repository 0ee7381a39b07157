"""People who are called by name in a message: marked for all, kept as rows, told."""

from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from conversations import actions, events, markdown
from conversations.models import Conversation, Mention, Message, Participant, Role, User
from conversations.views import sidebar

DATA = Path(__file__).parent / "data"
PAYLOADS = [line for line in (DATA / "xss.txt").read_text().splitlines() if line.strip()]


def marked(text: str, *names: str) -> list[str]:
    return markdown.mentioned(markdown.render(text, names=names))


# --- As they are marked ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("@Bob, look", ["Bob"]),
        ("hey @bob!", ["bob"]),
        ("(@BOB)", ["BOB"]),
        ("@Rita Moss and @Rita", ["Rita Moss", "Rita"]),
        ("*@Bob* and\n\n- @Rita", ["Bob", "Rita"]),
        ("@Bob @Bob @bob", ["Bob", "bob"]),
        ("@O'Brien & @A & B", ["O'Brien", "A & B"]),
        ("bob@Bob.example and x@Bob", []),
        ("@Bobby and @Bob-Jones and @Bob/x and @Bob@x.example", []),
        ("@Charlie", []),
        ("`@Bob` and\n\n```\n@Bob\n```\n\n    @Bob", []),
        ("[@Bob](https://example.com/) and https://example.com/@Bob", []),
        ("\\@Bob is one too", ["Bob"]),
        ("no one", []),
    ],
)
def test_a_name_after_an_at_is_a_call_but_not_in_words_code_and_links(
    text: str, names: list[str]
) -> None:
    assert marked(text, "Bob", "Rita", "Rita Moss", "O'Brien", "A & B") == names


def test_a_marked_text_is_the_same_text() -> None:
    text = "Ask @Bob & co, $x^2$ <b>now</b>"
    plain, with_names = markdown.render(text), markdown.render(text, names=["Bob"])
    bare = with_names.replace('<span class="mention">@Bob</span>', "@Bob")
    assert bare == plain != with_names


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_name_and_no_text_bring_html_in(payload: str) -> None:
    """Whatever people call themselves, and write."""
    name = payload.strip("@")
    for text in (f"@{name}", f"@Bob {payload}", f"{payload} @{name} @Bob"):
        rendered = markdown.render(text, names=[name, "Bob"])
        bare = rendered.replace('<span class="mention">', "\0")
        closing = bare.count("\0")
        for part in bare.split("\0")[1:]:
            assert "</span>" in part
            assert "<" not in part[: part.index("</span>")]  # nothing but a name stands in it
        assert rendered.count('class="mention"') == closing
        # Without our spans it is what is shown to whoever knows no names.
        assert _without_spans(rendered) == _without_spans(markdown.render(text))


def _without_spans(html: str) -> str:
    return html.replace('<span class="mention">', "").replace("</span>", "")


NAMES = st.text(min_size=1, max_size=12).filter(lambda name: name.strip() != "")


@given(names=st.lists(NAMES, max_size=4), words=st.lists(st.text(max_size=12), max_size=5))
def test_any_names_in_any_text_change_nothing_but_the_marks(
    names: list[str], words: list[str]
) -> None:
    text = " @".join([*words, *names])
    assert _without_spans(markdown.render(text, names=names)) == _without_spans(
        markdown.render(text)
    )


# --- As they are kept and told --------------------------------------------------------------------

pytestmark = pytest.mark.django_db


@pytest.fixture
def company(conversation: Conversation, alice: User, bob: User, rita: User) -> dict[str, User]:
    """Alice, Bob and Rita take part."""
    for person in (bob, rita):
        Participant.objects.create(conversation=conversation, user=person, role=Role.VIEWER)
    return {"Alice": alice, "Bob": bob, "Rita": rita}


def say(conversation: Conversation, author: User, text: str) -> Message:
    sent = actions.messages.send(
        conversation=conversation, author=author, text=text, request_id=uuid4()
    )
    return sent.question


def meant(message: Message) -> set[str]:
    return set(message.mentions.values_list("user__name", flat=True))


def test_those_who_are_called_are_kept_and_their_rows_say_so(
    conversation: Conversation, company: dict[str, User], charlie: User
) -> None:
    message = say(conversation, company["Alice"], "@bob and @Charlie and @Alice, look")
    assert meant(message) == {"Bob"}  # Charlie is not there; oneself one need not call
    assert '<span class="mention">@bob</span>' in message.html
    assert "@Charlie" in message.html
    assert 'mention">@Charlie' not in message.html
    rows = {name: sidebar.page(person)["rows"][0].is_mentioned for name, person in company.items()}
    assert rows == {"Alice": False, "Bob": True, "Rita": False}
    seen = {(company["Bob"].public_id, conversation.public_id): message.news}
    actions.attention.read(up_to=seen)
    assert sidebar.page(company["Bob"])["rows"][0].is_mentioned is False
    assert not sidebar.page(charlie)["rows"]


def test_a_first_name_calls_whom_it_means_alone(
    conversation: Conversation, company: dict[str, User]
) -> None:
    for name in ("Zoë Lang", "Tom Hill", "Tom Moss"):
        person = _named(name)
        Participant.objects.create(conversation=conversation, user=person, role=Role.EDITOR)
    message = say(conversation, company["Alice"], "@Zoë, @Tom and @Tom Moss")
    assert meant(message) == {"Zoë Lang", "Tom Moss"}


def _named(name: str) -> User:
    return User.objects.create_user(f"{uuid4().hex}@example.com", None, name=name)


def test_a_message_calls_only_so_many(
    conversation: Conversation, company: dict[str, User], settings: Settings
) -> None:
    settings.MENTIONS_PER_MESSAGE = 1
    message = say(conversation, company["Alice"], "@Rita @Bob")
    assert meant(message) == {"Rita"}


def test_they_are_told_by_name_unless_they_have_muted_it(
    conversation: Conversation,
    company: dict[str, User],
    monkeypatch: pytest.MonkeyPatch,
    django_capture_on_commit_callbacks: object,
) -> None:
    actions.attention.mute(conversation=conversation, person=company["Rita"], is_muted=True)
    heard: list[events.Event] = []
    monkeypatch.setattr(events, "tell", heard.append)
    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]
        say(conversation, company["Alice"], "@Rita @Bob")
    notices = [event for event in heard if isinstance(event, events.Notice)]
    assert [(event.user, event.text) for event in notices] == [
        (company["Bob"].public_id, "Alice mentions you.")
    ]


def test_a_message_that_is_rendered_anew_keeps_its_marks(
    conversation: Conversation, company: dict[str, User]
) -> None:
    message = say(conversation, company["Alice"], "@Bob, look")
    Message.objects.filter(pk=message.pk).update(html_version=0)
    assert Message.objects.get(pk=message.pk).rendered == message.html


def test_what_nobody_is_called_in_costs_nothing(
    conversation: Conversation, company: dict[str, User]
) -> None:
    say(conversation, company["Alice"], "Nobody, in a@example.com")
    assert not Mention.objects.exists()
