"""What tests of drafts share: asking for several, ending them, what stands side by side."""

from uuid import uuid4

from conversations import actions, fragments
from conversations.actions.asking import Asked
from conversations.actions.generations import Kept, Settlement
from conversations.actions.messages import Sent
from conversations.models import (
    Choice,
    Conversation,
    Draft,
    Message,
    State,
    User,
)

THREE = Asked(2, ("indigo-owl-4",))
DONE = Settlement(state=State.DONE, finish_reason="stop", completion_tokens=5)
BROKEN = Settlement(state=State.INTERRUPTED, error_code="interrupted")


def ask(
    conversation: Conversation, author: User, asked: Asked = THREE, text: str = "Which?"
) -> Sent:
    sent = actions.queue.send(
        conversation=conversation, author=author, text=text, request_id=uuid4(), asked=asked
    )
    assert isinstance(sent, Sent)
    return sent


def claimed() -> list[Choice]:
    return actions.generations.claim(worker="w", most=10)


def settle(choice: Choice, outcome: Settlement = DONE, text: str = "So.") -> None:
    kept = Kept(
        generation_id=choice.generation_id, message_id=choice.message_id, text=text, reasoning=""
    )
    assert actions.generations.settle(
        generation=choice.generation, worker="w", kept=kept, outcome=outcome
    )


def answers(sent: Sent) -> list[Message]:
    return [draft.message for draft in Draft.objects.filter(question=sent.question)]


def answered(conversation: Conversation, author: User, asked: Asked = THREE) -> list[Message]:
    """Three drafts that are done."""
    sent = ask(conversation, author, asked)
    for number, choice in enumerate(claimed()):
        settle(choice, text=f"Answer {number}.")
    return answers(sent)


def shown(conversation: Conversation) -> list[str]:
    """Public ids of what stands side by side."""
    conversation.refresh_from_db()
    return [article.message.public_id for article in columns(conversation)]


def columns(conversation: Conversation) -> tuple[fragments.Article, ...]:
    assert conversation.head is not None
    (head,) = Message.objects.filter(pk=conversation.head.pk).read_for_thread()
    end = fragments.shown(head)
    return end.columns if isinstance(end, fragments.Drafts) else ()
