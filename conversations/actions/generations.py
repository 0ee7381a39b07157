"""The life of a generation: asked for, claimed, kept, settled. What the relay may write, and when.

Every UPDATE of a generation names in its WHERE the worker that holds it and the state it leaves, so
that a relay that was thought dead cannot write over what came after it.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.db.models import Q
from django.db.models.functions import Length
from django.utils import timezone
from django.utils.translation import gettext_noop as _

from conversations import audit, catalogue, events, fragments, ledger, markdown
from conversations.actions import asking, charges, conversations, decisions, endings
from conversations.actions.asking import ONE, Asked, Prompt
from conversations.actions.endings import storable
from conversations.actions.refusals import NothingToAnswer, OverBudget, TurnRunning
from conversations.counts import counts
from conversations.ledger import Used
from conversations.models import (
    Author,
    Choice,
    Conversation,
    Draft,
    Ending,
    Generation,
    Message,
    State,
    User,
)

Kept = endings.Kept
Settlement = endings.Settlement

# Of a message that its worker still holds. One statement for all answers, every second: building
# it anew for each would be a fifth of what relaying them costs.
KEEP = """
    UPDATE conversations_message SET text = %s, reasoning = %s, html = '', html_version = 0
    WHERE id = %s AND EXISTS (
        SELECT 1 FROM conversations_choice AS choice
        JOIN conversations_generation AS generation ON generation.id = choice.generation_id
        WHERE choice.message_id = conversations_message.id AND generation.id = %s
            AND generation.worker = %s AND generation.settled_at IS NULL
            AND generation.state IN ('running', 'stopped')
    )
"""


# Why an answer lost its relay: it died, or it ended and could not wait for the answer.
RELAY_GONE, RESTARTING = "relay_gone", "restarting"
LOST = (RELAY_GONE, RESTARTING)


def request(
    *, conversation: Conversation, question: Message, actor: User, asked: Asked = ONE
) -> list[Choice]:
    """Queues new answers to a question, inside the caller's transaction, which makes the first
    empty message the head. More than one are drafts: all of them are queued, or none.

    Raises NoModel, ModelNotForYou, TurnRunning, TooManyAnswers or OverBudget.
    """
    models = asking.models(conversation, actor, asked.models(conversation.model))
    answers = [_empty(conversation, question) for _ in models]
    prompt = Prompt.of(conversation, question)
    if (drafts := len(models)) > 1:
        numbered = enumerate(answers)
        Draft.objects.bulk_create(
            Draft(question=question, number=number, message=answer) for number, answer in numbered
        )
        ledger.lock(actor, models)
    return [
        _queue(prompt, model, answer, actor, draft=number, drafts=drafts)
        for number, (model, answer) in enumerate(zip(models, answers, strict=True))
    ]


def _empty(conversation: Conversation, question: Message) -> Message:
    return Message.objects.create(
        conversation=conversation,
        parent=question,
        depth=question.depth + 1,
        role=Author.ASSISTANT,
    )


def retry(*, answer: Message, actor: User) -> Message:
    """Another answer to the same question, beside the one there is; in its place where that is one
    of several drafts of which none was chosen and it broke off: by the same model, since they are
    compared."""
    conversation, question = answer.conversation, answer.parent
    if question is None or answer.role != Author.ASSISTANT:
        raise NothingToAnswer
    with _one_turn(), audit.action(actor, "answer.retried", conversation):
        row = conversations.locked_to_write(conversation, actor)
        draft = decisions.undecided(answer)
        if draft is None:
            if Draft.objects.undecided().filter(question=question).exists():
                raise NothingToAnswer  # another one has taken its place
            (choice,) = request(conversation=row, question=question, actor=actor)
            _tell_queued(row, head=choice.message)
            return choice.message
        last = _newest(answer)
        (model,) = asking.models(row, actor, [last.model])
        if last.state == State.DONE:
            raise NothingToAnswer  # people may have read it and voted for it
        message = _empty(row, question)
        decisions.replace(draft, message)
        prompt = Prompt.of(row, question)
        _queue(prompt, model, message, actor, draft=last.draft, drafts=last.drafts)
        _tell_queued(row, **({"head": message} if row.head_id == answer.pk else {}))
    return message


def go_on(*, answer: Message, actor: User) -> Message:
    """Lets the model continue an answer that broke off: the same message grows."""
    conversation = answer.conversation
    if not fragments.Article.of(answer).offers_continue or answer.parent is None:
        raise NothingToAnswer
    with _one_turn(), audit.action(actor, "answer.continued", conversation):
        row = conversations.locked_to_write(conversation, actor)
        draft = decisions.undecided(answer)
        if draft is None and row.head_id != answer.pk:
            raise NothingToAnswer
        last = _newest(answer) if draft else None  # a copied answer has none of its own
        (model,) = asking.models(row, actor, [last.model if last else row.model])
        prompt = Prompt.of(row, answer.parent, answer.text)
        place = {"draft": last.draft, "drafts": last.drafts} if last else {}
        answer.conversation = row
        _queue(prompt, model, answer, actor, **place)
        _tell_queued(row)
    return answer


def _newest(answer: Message) -> Generation:
    return Generation.objects.filter(choices__message=answer).latest("pk")


def stop(*, generation: Generation, actor: User) -> None:
    """Whoever is faster stops it; stopping what has ended changes nothing."""
    with transaction.atomic():
        mine = Generation.objects.filter(pk=generation.pk)
        # Or it could go back into the queue between the two looks at its state.
        mine.select_for_update().first()
        now = timezone.now()
        unclaimed = mine.filter(state=State.QUEUED).update(
            state=State.STOPPED, stopped_by=actor, settled_at=now
        )
        if unclaimed:
            _ended_elsewhere(generation, State.STOPPED)
            unsent = Used(outcome=Ending.STOPPED, was_sent=False)
            ledger.settle(charges.reference(generation), unsent)
            transaction.on_commit(
                lambda: counts.generation_ended(State.STOPPED, "", generation.created_at)
            )
            events.on_commit(events.WorkQueued())  # a turn may wait behind it
        # The relay that writes it puts the last words away and settles it.
        if unclaimed or mine.filter(state=State.RUNNING).update(
            state=State.STOPPED, stopped_by=actor
        ):
            audit.record(actor, "answer.stopped", generation.conversation)
        events.on_commit(events.StopRequested(generation.public_id))


def claim(*, worker: str, most: int) -> list[Choice]:
    """Takes up to `most` queued generations for this worker, with all that writing them needs: what
    is read after a claim may fail, and nobody would write what was claimed."""
    now = timezone.now()
    due = Generation.objects.claimable(now).fairly()[:most]
    rows = Choice.objects.filter(generation__in=due.values("pk"), index=0).order_by("generation")
    claimed: list[Choice] = []
    for choice in rows.select_related("message", "generation__conversation"):
        try:
            won = _claim(choice.generation, worker)
        except DatabaseError:
            if not claimed:
                raise
            break  # first those that are ours
        if won:
            claimed.append(choice)
    return claimed


def _claim(generation: Generation, worker: str) -> bool:
    # As it was read: another may have had it meanwhile, and put it back.
    queued = Generation.objects.filter(
        pk=generation.pk, state=State.QUEUED, attempts=generation.attempts
    )
    columns = {
        "state": State.RUNNING,
        "worker": worker,
        "started_at": timezone.now(),
        "not_before": None,
    }
    for name, value in columns.items():
        setattr(generation, name, value)
    return bool(queued.update(**columns))


def keep(*, worker: str, kept: Collection[Kept], running: Collection[int]) -> set[int]:
    """Brings the table up to date for all that is new in a worker's answers, in one transaction.
    Returns those of `running` that are not running for it any more."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.executemany(
                KEEP,
                [
                    (one.text, one.reasoning, one.message_id, one.generation_id, worker)
                    for one in kept
                ],
            )
        still = Generation.objects.filter(pk__in=running, worker=worker, state=State.RUNNING)
        return set(running) - set(still.values_list("pk", flat=True))


def postpone(*, generation: Generation, worker: str, until: datetime, reason: str) -> bool:
    """Back into the queue: the upstream said "later" before the first token."""
    moved = Generation.objects.filter(
        pk=generation.pk, worker=worker, state=State.RUNNING, first_token_at=None
    ).update(
        state=State.QUEUED,
        worker="",
        not_before=until,
        attempts=generation.attempts + 1,
        error_message=storable(reason[:500]),
    )
    return bool(moved)


def settle(*, generation: Generation, worker: str, kept: Kept, outcome: Settlement) -> bool:
    """Writes the final text and how it ended. False when somebody else holds the generation."""
    now = timezone.now()
    html = markdown.render(kept.text)  # takes long for long answers, and others wait for the lock
    with transaction.atomic():
        mine = Generation.objects.filter(pk=generation.pk, worker=worker, settled_at=None)
        columns = outcome.columns()
        state, why = outcome.state, outcome.finish_reason or outcome.error_code
        won = mine.filter(state=State.RUNNING).update(state=state, settled_at=now, **columns)
        if not won:
            # Stopped meanwhile: that is how it ended, whatever the upstream said last.
            state, why = State.STOPPED, ""
            known = {name: columns[name] for name in KNOWN_WHEN_STOPPED}
            won = mine.filter(state=State.STOPPED).update(settled_at=now, **known)
        if not won:
            return False
        revision = conversations.changed(generation.conversation)
        Message.objects.filter(pk=kept.message_id).update(
            text=kept.text,
            reasoning=kept.reasoning,
            html=html,
            html_version=markdown.RENDERER_VERSION,
            news=revision,
        )
        audit.record(
            None, "answer.settled", generation.conversation, generation=generation.public_id
        )
        _tell_settled(generation, state, revision)
        ledger.settle(charges.reference(generation), outcome.used(state, why, kept.written))
    counts.generation_ended(state, why, generation.created_at, outcome.first_token_at)
    return True


KNOWN_WHEN_STOPPED = (
    "first_token_at",
    "upstream_id",
    "prompt_tokens",
    "completion_tokens",
    "usage_source",
)


def give_up(*, lost: Collection[str], besides: Collection[int] = ()) -> int:
    """Settles what these workers left behind, and do not write any more; how many answers.
    `besides` are in good hands."""
    now = timezone.now()
    settled = 0
    left = Generation.objects.left_by(lost).exclude(pk__in=besides)
    for generation in left.select_related("conversation"):
        with transaction.atomic():
            still = Generation.objects.left_by(lost).filter(pk=generation.pk)
            lost_it = still.filter(state=State.RUNNING).update(
                state=State.INTERRUPTED,
                settled_at=now,
                error_code=RELAY_GONE,
                error_message=_("The portal was restarted while the answer was being written."),
            )
            won = lost_it or still.filter(state=State.STOPPED).update(settled_at=now)
            if won:
                settled += 1
                audit.record(None, "answer.interrupted", generation.conversation)
                _ended_elsewhere(generation, State.INTERRUPTED if lost_it else State.STOPPED)
                ended = (State.INTERRUPTED, RELAY_GONE) if lost_it else (State.STOPPED, "")
                charges.settle_lost(generation, *ended)
        if won:
            counts.generation_ended(*ended, generation.created_at)
            hand_on(generation=generation)
    return settled


def hand_on(*, generation: Generation) -> bool:
    """Queues the rest of an answer that lost its relay: the same request, the same message, from
    the text so far. Only where the operator allows it, nothing was said since, and the upstream
    can go on from a beginning; and not for ever, should the answer itself be what ends relays."""
    if not settings.RELAY_CONTINUES:
        return False
    try:
        with transaction.atomic():
            return _queue_rest(generation)
    except IntegrityError:  # somebody's turn began at this moment
        return False


def _queue_rest(generation: Generation) -> bool:
    conversation = Conversation.objects.select_for_update().get(pk=generation.conversation_id)
    message = generation.choices.select_related("message").get(index=0).message
    lost = Generation.objects.filter(
        choices__message=message, state=State.INTERRUPTED, error_code__in=LOST
    )
    server = catalogue.upstream(generation.upstream)
    if (
        conversation.deleted_at is not None
        or not (conversation.head_id == message.pk or decisions.undecided(message))
        or server is None
        or (message.text and not server.can_continue)
        or not lost.filter(pk=generation.pk).exists()
        or lost.count() > settings.RELAY_CONTINUES
        or _is_in_the_way(generation)
    ):
        return False
    model, asker = catalogue.find(generation.model), generation.requested_by
    if model is None or asker is None:
        return False
    named = Message.objects.filter(public_id__in=generation.request["messages"])
    length = sum(named.values_list(Length("text"), flat=True))
    rest = Generation(
        conversation=conversation,
        question_id=generation.question_id,
        requested_by=asker,
        draft=generation.draft,
        drafts=generation.drafts,
        model=model.id,
        upstream=model.upstream,
        request=generation.request | {"prefill": message.text},
    )
    try:
        charges.reserve(rest, model, asker, characters=length, messages=named.count())
    except OverBudget:
        return False
    rest.save()
    Choice.objects.create(generation=rest, message=message, starts_at=len(message.text))
    audit.record(None, "answer.handed_on", conversation, generation=rest.public_id)
    _tell_queued(conversation)
    return True


def _is_in_the_way(generation: Generation) -> bool:
    """Another turn that has begun, or the same answer once more; but no drafts beside it."""
    there = Generation.objects.open().filter(conversation=generation.conversation_id)
    return there.exclude(
        ~Q(draft=generation.draft), question=generation.question_id, drafts=generation.drafts
    ).exists()


def waiting(*, most: int = 200) -> list[tuple[Choice, int]]:
    """Who waits, with the place in line: 1 is next; 0 for those that wait for a moment in time."""
    if not Generation.objects.queued().exists():
        return []  # nearly always, and much cheaper than looking for all that is to be shown
    line = list(Generation.objects.due(timezone.now()).fairly().values_list("pk", flat=True))
    rows = Choice.objects.filter(generation__in=Generation.objects.queued(), index=0)
    rows = rows.select_related("message", "generation__conversation").order_by("generation")
    places = {generation: place for place, generation in enumerate(line, 1)}
    return [(choice, places.get(choice.generation_id, 0)) for choice in rows[:most]]


class _one_turn:  # noqa: N801  reads as a statement: with _one_turn(): …
    """Turns the database's refusal of a second turn into words."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        if kind is not None and issubclass(kind, IntegrityError):
            raise TurnRunning from None


def _queue(
    prompt: Prompt,
    model: catalogue.Model,
    answer: Message,
    actor: User,
    *,
    draft: int = 0,
    drafts: int = 1,
) -> Choice:
    """One more answer to the question that `answer` stands under, or more of that one."""
    conversation, question, prefill = answer.conversation, answer.parent, prompt.request["prefill"]
    server = catalogue.upstream(model.upstream)
    if question is None or (prefill and not (server and server.can_continue)):
        raise NothingToAnswer  # the model was changed meanwhile for one that begins anew
    generation = Generation(
        conversation=conversation,
        question=question,
        requested_by=actor,
        draft=draft,
        drafts=drafts,
        model=model.id,
        upstream=model.upstream,
        request=prompt.for_model(model, conversation),
    )
    said = len(prompt.request["messages"])
    charges.reserve(generation, model, actor, characters=prompt.characters, messages=said)
    generation.save()
    return Choice.objects.create(generation=generation, message=answer, starts_at=len(prefill))


def _tell_queued(conversation: Conversation, **columns: Any) -> None:
    revision = conversations.changed(conversation, active=True, **columns)
    conversations.tell_changed(conversation, revision)
    events.on_commit(events.WorkQueued())
    conversations.tell_rows(conversation, moves=True)


def _is_last(generation: Generation) -> bool:
    """Of several drafts, whose asker hears once that they are there."""
    beside = Generation.objects.open().filter(question=generation.question_id)
    return generation.drafts == 1 or not beside.exists()


def _ended_elsewhere(generation: Generation, state: State) -> None:
    """Without its relay, which would bring the last words."""
    revision = conversations.changed(generation.conversation)
    Message.objects.filter(choices__generation=generation).update(news=revision)
    _tell_settled(generation, state, revision)


def _tell_settled(generation: Generation, state: State, revision: int) -> None:
    """Everybody, that it has ended with this revision."""
    conversation = generation.conversation
    asker = generation.requested_by_id
    notices = {asker: fragments.ended(state)} if asker and _is_last(generation) else {}
    conversations.tell_rows(conversation, moves=False, notices=notices)

    def tell() -> None:
        for choice in Choice.objects.for_articles_of(generation):
            article = fragments.beside_others(choice.generation, choice.message)
            html, name = fragments.article(article), choice.message.public_id
            events.tell(events.MessageSettled(conversation.public_id, revision, name, html))

    transaction.on_commit(tell, robust=True)
    # Counted and told after it: pages that hear of a later revision first fetch all anew.
    conversations.answer_ended(conversation)
