"""What the tables, the pages and the upstream say afterwards, held against what was promised."""

import itertools
import re
from collections import defaultdict
from dataclasses import dataclass, field

from conversations import markdown
from conversations.actions.generations import LOST, RELAY_GONE
from conversations.models import (
    AuditEntry,
    BudgetCounter,
    Choice,
    Conversation,
    Generation,
    Message,
    Reservation,
    State,
    UsageRecord,
)
from conversations.models.audit import Outcome
from tests.chaos.breaker import DATABASE, REDIS, Log
from tests.chaos.pages import Ending, Page
from tests.chaos.people import Diary
from tests.chaos.storyteller import Call
from tests.markdown_page import parse

MISSING_AT_MOST = 1.0  # seconds of text, after a kill


@dataclass
class Verdict:
    """`broken` holds each promise that was not kept, in words; the rest are figures."""

    broken: list[str] = field(default_factory=list)
    states: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    charges: int = 0
    matched: int = 0
    handed_on: int = 0
    missing: list[float] = field(default_factory=list)
    endings: int = 0

    def expect(self, kept: object, otherwise: str) -> None:
        if not kept:
            self.broken.append(otherwise)


@dataclass(frozen=True)
class Part:
    """What one generation wrote."""

    row: Generation
    text: str


class Lags:
    """How late our own loop was, and when: (time.monotonic(), seconds)."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, float]] = []

    def worst(self, since: float, until: float) -> float:
        return max((late for when, late in self.seen if since <= when <= until + 1), default=0.0)


def of_tables(diary: Diary, calls: list[Call], log: Log, lag: Lags) -> Verdict:
    verdict = Verdict(calls=len(calls), charges=sum(call.is_charged for call in calls))
    for complaint in diary.complaints:
        verdict.expect(None, complaint)
    _questions_are_stored_once(verdict, diary)
    by_question: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        by_question[call.question].append(call)
    parts = _parts()
    for part in parts:
        _ended_with_a_reason(verdict, part.row)
    asked = Generation.objects.values_list("question__text", flat=True).distinct()
    for text in asked:
        own = [part for part in parts if part.row.question.text == text]
        _texts_are_what_was_said(verdict, own, by_question[text], log, lag)
    verdict.expect(set(by_question) <= set(asked), "the upstream was asked what nobody asked")
    _each_generation_was_asked_for(verdict, diary, len(parts))
    _each_generation_left_one_record(verdict)
    return verdict


def _each_generation_left_one_record(verdict: Verdict) -> None:
    """And nothing is reserved any more; what budgets counted is what the records say."""
    settled = Generation.objects.exclude(settled_at=None).values_list("public_id", flat=True)
    references = list(UsageRecord.objects.values_list("reference", flat=True))
    verdict.expect(
        sorted(references) == sorted(f"generation:{public_id}" for public_id in settled),
        f"{len(settled)} answers ended and left {len(references)} usage records",
    )
    verdict.expect(not Reservation.objects.exists(), "something is still reserved")
    used = sum(one.prompt_tokens + one.completion_tokens for one in UsageRecord.objects.iterator())
    for counter in BudgetCounter.objects.all():
        verdict.expect(
            (counter.used, counter.reserved) == (used, 0),
            f"a budget counted {counter.used} tokens and {counter.reserved} reserved, not {used}",
        )


def _each_generation_was_asked_for(verdict: Verdict, diary: Diary, generations: int) -> None:
    """By the audit, which counts what was done; by people, who do not know what came of some."""
    done = AuditEntry.objects.filter(outcome=Outcome.DONE)
    verbs = ("message.sent", "answer.retried", "answer.continued", "answer.handed_on")
    audited = done.filter(verb__in=verbs).count()
    verdict.handed_on = done.filter(verb="answer.handed_on").count()
    verdict.expect(audited == generations, f"{generations} generations, and {audited} in the audit")
    known = diary.asked + diary.retried + diary.continued + verdict.handed_on
    doubtful = diary.uncertain + len(diary.questions) - diary.asked
    verdict.expect(
        known <= generations <= known + doubtful,
        f"{generations} generations, and people know of {known} and perhaps {doubtful} more",
    )


def _questions_are_stored_once(verdict: Verdict, diary: Diary) -> None:
    stored: dict[object, list[str]] = defaultdict(list)
    for request_id, text in Message.objects.exclude(request_id=None).values_list(
        "request_id", "text"
    ):
        stored[request_id].append(text)
    for request_id, text in diary.questions.items():
        verdict.expect(stored.pop(request_id, []) == [text], f"not stored once: {text!r}")
    verdict.expect(not stored, f"stored, and nobody asked it: {stored}")


def _parts() -> list[Part]:
    """By message, what each of its generations wrote: up to where the next one begins."""
    rows = Choice.objects.select_related("message", "generation__question").order_by("pk")
    by_message: dict[int, list[Choice]] = defaultdict(list)
    for row in rows:
        by_message[row.message_id].append(row)
    parts = []
    for choices in by_message.values():
        ends = [choice.starts_at for choice in choices[1:]]
        for choice, end in zip(choices, [*ends, len(choices[0].message.text)], strict=True):
            parts.append(Part(choice.generation, choice.message.text[choice.starts_at : end]))
    return parts


def _ended_with_a_reason(verdict: Verdict, row: Generation) -> None:
    verdict.states[row.state] = verdict.states.get(row.state, 0) + 1
    name = f"generation {row.pk} ({row.state} {row.finish_reason or row.error_code})"
    verdict.expect(row.settled_at, f"{name} is left open")
    verdict.expect(row.state != State.DONE or row.finish_reason, f"{name} has no finish reason")
    verdict.expect(
        row.state not in {State.FAILED, State.INTERRUPTED} or row.error_message,
        f"{name} says no reason",
    )
    verdict.expect(row.error_code != "internal", f"{name} failed by a mistake of ours")


def _texts_are_what_was_said(
    verdict: Verdict, own: list[Part], calls: list[Call], log: Log, lag: Lags
) -> None:
    left = {call.number: call for call in calls}
    silent = []
    for part in own:
        if not part.text:
            silent.append(part.row)
            continue
        number = part.text.partition("»")[0].removeprefix("«")
        call = left.pop(int(number), None) if number.isdigit() else None
        if call is None:
            # So short that its number is not whole: whichever call it was, it is one of them.
            call = next((c for c in left.values() if c.text.startswith(part.text)), None)
            if call is not None:
                left.pop(call.number)
        name = f"generation {part.row.pk} ({part.row.state} {part.row.error_code})"
        verdict.expect(call, f"{name} begins as nobody began: {part.text[:40]!r}")
        if call is None:
            continue
        verdict.matched += 1
        verdict.expect(call.text.startswith(part.text), f"{name} is no prefix of {call.number}")
        _ends_as_it_was_told(verdict, part, call, name)
        _little_is_missing(verdict, part, call, name, log, lag)
    # What was begun and left no word was stopped or lost within its first second.
    charged = [call for call in left.values() if call.is_charged]
    may_have = [row for row in silent if row.state == State.STOPPED or row.error_code in LOST]
    may_have += [row for row in silent if row.state == State.INTERRUPTED and row not in may_have]
    verdict.expect(
        len(charged) <= len(may_have),
        f"{len(charged)} answers to {calls and calls[0].question!r} were begun that no "
        f"generation has, beside {len(may_have)} without a word",
    )


def _ends_as_it_was_told(verdict: Verdict, part: Part, call: Call, name: str) -> None:
    row = part.row
    if row.state == State.STOPPED or row.error_code in LOST:
        return
    whole = part.text == call.text
    match call.plot:
        case "good" | "slow" | "length":
            verdict.expect(
                whole and (row.state, row.finish_reason) == (State.DONE, call.finish),
                f"{name} did not end as {call.number}, which was told to its end",
            )
        case "endless":
            verdict.expect(row.finish_reason == "length", f"{name} was not cut at the limit")
        case "reset":  # takes along what was on its way
            verdict.expect(row.state == State.INTERRUPTED, f"{name} broke off unnoticed")
        case "silent" | "cut" | "no_end":
            verdict.expect(whole and row.state == State.INTERRUPTED, f"{name} lost words at a cut")
        case "error":
            verdict.expect(whole and row.state == State.FAILED, f"{name} hides that it failed")
        case _:
            verdict.expect(None, f"{name} was told by a refusal")


def _little_is_missing(
    verdict: Verdict, part: Part, call: Call, name: str, log: Log, lag: Lags
) -> None:
    process = part.row.worker.split(":")[-2] if ":" in part.row.worker else ""
    killed = log.kills.get(int(process)) if process.isdigit() else None
    if killed is None or part.row.error_code != RELAY_GONE:
        return
    kept = 0
    for when, piece in call.said:
        kept += len(piece)
        if kept > len(part.text):
            missing = killed - when
            break
    else:
        missing = 0.0
    if missing <= 0 or not log.was_calm(DATABASE, killed - 5, killed):
        return
    verdict.missing.append(missing)
    # A machine that was too busy to run us was so for the relay, too.
    allowed = MISSING_AT_MOST + lag.worst(killed - 2, killed)
    verdict.expect(missing <= allowed, f"{name} misses {missing:.2f} s of text")


# --- Pages ----------------------------------------------------------------------------------------


def branch_of(conversation: str) -> list[tuple[str, object]]:
    """Each message that the conversation shows, and its tree by the table's text alone."""
    row = Conversation.objects.get(public_id=conversation)
    messages = Message.objects.branch_to(row.head_id).filter(deleted_at=None).order_by("depth")
    return [
        (message.public_id, parse(markdown.render(message.text)).shape()) for message in messages
    ]


def shown_by(page: Page) -> list[tuple[str, object]]:
    return [(name, shown.tree.shape()) for name, shown in page.articles.items()]


def of_endings(verdict: Verdict, pages: list[Page], log: Log) -> None:
    """Who had followed an answer to a good end saw the same before and after it was told, unless
    words were lost on their way. Colours come when a fence is closed."""
    good = Generation.objects.filter(state=State.DONE, finish_reason="stop")
    kept = set(good.values_list("public_id", flat=True))
    for page in pages:
        for ending in page.endings:
            is_good = ending.generation in kept
            if is_good and log.was_calm(REDIS, ending.since - 1, ending.until):
                verdict.endings += 1
                verdict.expect(
                    ending.grown == ending.final,
                    f"{ending.generation} looked different before its end: {_difference(ending)}",
                )


def _difference(ending: Ending) -> str:
    """From the first character that differs."""
    grown, final = repr(ending.grown), repr(ending.final)
    pairs = enumerate(zip(grown, final, strict=False))
    start = max(40, next((at for at, (one, other) in pairs if one != other), 40))
    choice = Choice.objects.select_related("message").get(generation__public_id=ending.generation)
    return (
        f"{grown[start - 40 : start + 80]!r} and then {final[start - 40 : start + 80]!r} "
        f"of {choice.message.text!r} from {choice.starts_at}"
    )


# --- Processes ------------------------------------------------------------------------------------

# What broken connections bring about, and says so in the log, goes by these names.
EXPECTED = ("django.db.", "psycopg", "sqlite3.", "redis.", "asyncio.", "TimeoutError", "Connection")
RAISED = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|CutOff)\b.*", re.MULTILINE)
# A line with its time, and the traceback below it.
RECORD = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ (\w+) +([\w.]+) ", re.MULTILINE)
# Say of each connection how it broke, and raise to us what we are to know.
ENGINES = ("channels_redis", "psycopg.pool")


def of_logs(verdict: Verdict, log: Log) -> None:
    """Nothing went wrong that nobody did."""
    for process, output in log.outputs:
        starts = [match.start() for match in RECORD.finditer(output)]
        for start, end in itertools.pairwise([0, *starts, len(output)]):
            record = output[start:end]
            told = RECORD.match(record)
            if told is not None and told[2].startswith(ENGINES):
                continue
            for line in RAISED.findall(record):
                verdict.expect(line.startswith(EXPECTED), f"{process}: {line}")
            # A socket needs no other server to open; one that was cut is no error.
            verdict.expect(
                told is None or told[2] != "daphne.server" or "django.db" in record,
                f"{process}: {record[:300]}",
            )
