"""What is sent upstream for a generation, from the ids that it holds."""

from typing import get_args

from django.conf import settings
from django.utils.translation import gettext_noop

from conversations.models import Generation, Message
from conversations.upstream import ChatMessage, ChatRequest, InvalidRequest, Role

TOO_LONG = gettext_noop("The conversation is longer than this portal sends. Start a new one.")


def compose(generation: Generation) -> ChatRequest:
    """System prompt, the branch's turns, and the beginning of an answer that is continued.

    Raises InvalidRequest where a stored parameter is out of range, and where it is too long.
    """
    request = generation.request
    texts = {
        row.public_id: row for row in Message.objects.filter(public_id__in=request["messages"])
    }
    messages = [_said(texts[name]) for name in request["messages"] if name in texts]
    messages = [message for message in messages if message.content.strip()]
    if request["system"].strip():
        messages.insert(0, ChatMessage("system", request["system"]))
    if request["prefill"]:
        messages.append(ChatMessage("assistant", request["prefill"]))
    if sum(len(message.content) for message in messages) > settings.PROMPT_MAX_CHARS:
        raise InvalidRequest("messages", TOO_LONG)
    parameters = dict(request["parameters"])
    parameters["stop"] = tuple(parameters.get("stop", ()))
    return ChatRequest(model=generation.model, messages=tuple(messages), **parameters)


def _said(message: Message) -> ChatMessage:
    role = next(role for role in get_args(Role) if role == message.role)
    return ChatMessage(role, message.text)
