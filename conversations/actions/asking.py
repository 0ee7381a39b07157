"""What a turn asks for: how many answers, of which models, with which prompt."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from django.conf import settings
from django.db.models import Q
from django.db.models.functions import Length

from conversations import catalogue
from conversations.actions import conversations
from conversations.actions.refusals import ModelNotForYou, NoModel, TooManyAnswers, TurnRunning
from conversations.actions.speakers import labels as speaker_labels
from conversations.models import Author, Conversation, Generation, Kind, Message, User

SPOKEN = ("public_id", "role", "length", "author_id", "author__name", "author__email")


@dataclass(frozen=True, slots=True)
class Asked:
    """`answers` of the conversation's model, and one of each other model in `also`. More than one
    in all are drafts."""

    answers: int = 1
    also: tuple[str, ...] = ()

    def models(self, model: str) -> list[str]:
        """The model of each answer, where the conversation's is this one."""
        others = [name for name in dict.fromkeys(self.also) if name != model]
        return [model] * self.answers + others


ONE = Asked()


def models(conversation: Conversation, actor: User, names: Sequence[str]) -> list[catalogue.Model]:
    """Those of these names, one for each answer, if nothing is in the way of that many for this
    person; inside the caller's transaction, with the conversation locked. That stays true until its
    end, since the person is locked as well: they may ask in another conversation at this moment.

    Raises NoModel, ModelNotForYou, TurnRunning or TooManyAnswers.
    """
    conversations.lock_person(actor)
    return models_now(conversation, actor, names)


def models_now(
    conversation: Conversation, actor: User, names: Sequence[str]
) -> list[catalogue.Model]:
    """The same without a lock: what `models` would say at this moment."""
    found = {name: _model(name, actor) for name in dict.fromkeys(names)}
    in_the_way = Generation.objects.open().filter(
        Q(conversation=conversation) | Q(requested_by=actor)
    )
    turns = list(in_the_way.values_list("conversation_id", "requested_by_id"))
    if any(where == conversation.pk for where, _who in turns):
        raise TurnRunning
    if sum(who == actor.pk for _where, who in turns) + len(names) > settings.GENERATIONS_PER_USER:
        raise TooManyAnswers(settings.GENERATIONS_PER_USER, asked=len(names))
    return [found[name] for name in names]


def _model(name: str, actor: User) -> catalogue.Model:
    model = catalogue.find(name)
    if model is None:
        raise NoModel(name)
    if not catalogue.may_use(actor, model):
        raise ModelNotForYou(model.label)
    return model


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is sent for a question, as a generation keeps it, and how long it is."""

    request: dict[str, Any]
    characters: int

    @classmethod
    def of(cls, conversation: Conversation, question: Message, prefill: str = "") -> Self:
        branch = Message.objects.branch_to(question.pk).filter(kind=Kind.TURN, deleted_at=None)
        branch = branch.seen_with(question)
        said = list(branch.annotate(length=Length("text")).values_list(*SPOKEN, named=True))
        speakers = speaker_labels(
            (
                one.public_id,
                one.author_id,
                one.author__name or (one.author__email or "").partition("@")[0],
            )
            for one in said
            if one.role == Author.USER
        )
        request = {
            "system": conversation.system_prompt,
            "messages": [one.public_id for one in said],
            "prefill": prefill,
        } | ({"speakers": speakers} if speakers else {})
        return cls(request, sum(one.length for one in said) + sum(map(len, speakers.values())))

    def for_model(self, model: catalogue.Model, conversation: Conversation) -> dict[str, Any]:
        return self.request | {"parameters": {**model.parameters, **conversation.parameters}}
