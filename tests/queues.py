"""What tests of queues share: putting turns in, ending answers, looking at what is left."""

from uuid import UUID, uuid4

from django.utils import timezone

from conversations import actions
from conversations.models import Conversation, Generation, Message, QueuedTurn, State, User


def queue(
    conversation: Conversation, author: User, text: str, request_id: UUID | None = None
) -> QueuedTurn:
    turn = actions.queue.send(
        conversation=conversation, author=author, text=text, request_id=request_id or uuid4()
    )
    assert isinstance(turn, QueuedTurn)
    return turn


def end(conversation: Conversation, state: State = State.DONE) -> None:
    """However the answer that is open ends."""
    reason = "stop" if state == State.DONE else ""
    Generation.objects.open().filter(conversation=conversation).update(
        state=state, finish_reason=reason, settled_at=timezone.now()
    )


def line(conversation: Conversation) -> list[str]:
    turns = QueuedTurn.objects.filter(conversation=conversation).in_line()
    return list(turns.values_list("text", flat=True))


def said(conversation: Conversation) -> list[str]:
    """The questions that all see, oldest first."""
    conversation.refresh_from_db()
    branch = Message.objects.branch_to(conversation.head_id).filter(role="user")
    return list(branch.values_list("text", flat=True))
