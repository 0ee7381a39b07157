"""One chaos run, from the first process to the verdict."""

import asyncio
import itertools
import random
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from django.db import Error as AnyDatabaseError

from conversations.models import Budget, Conversation, Generation, Participant, Role, Scope, User
from tests.chaos import verdict as verdicts
from tests.chaos.breaker import Breaker, Log, Staff
from tests.chaos.engines import Engines
from tests.chaos.pages import Page
from tests.chaos.people import Diary, Person
from tests.chaos.storyteller import Storyteller
from tests.chaos.verdict import Lags, Verdict
from tests.house import House
from tests.relays import db
from tests.viewers import session_of

# Shorter than an installation's, so that what has to be waited for comes often. How often text is
# kept, and how long a relay may be silent, are as they are delivered.
QUICK = {
    "LOG_LEVEL": "WARNING",
    "EXCHANGE_BEAT_SECONDS": "0.3",
    "EXCHANGE_SILENCE_SECONDS": "2",
    "REDIS_TIMEOUT": "1",
    "TICK_SECONDS": "1",
    "RIGHTS_CHECK_SECONDS": "1",
    "DATABASE_TIMEOUT": "10",
    "RELAY_DRAIN_SECONDS": "1",
    "RELAY_CONTINUES": "1",
    "UPSTREAM_IDLE_TIMEOUT": "3",
    "UPSTREAM_RETRY_BUDGET": "10",
    "ANSWER_MAX_BYTES": "20000",
    "SOCKETS_PER_USER": "200",
}
QUIET_WITHIN = 60.0  # seconds after the last fault, until all is settled and every page is right


@dataclass(frozen=True)
class Plan:
    generations: int
    kills: int  # of relays alone; 0 is faults of all kinds
    people: int
    seed: int
    pause: float  # seconds between two faults
    rate: float  # words a second


@dataclass
class Result:
    verdict: Verdict
    diary: Diary
    log: Log
    seconds: float
    returned: float  # seconds until all was settled and every page was right again
    connections: int
    pages: int


class Run:
    def __init__(self, plan: Plan, engines: Engines, folder: Path) -> None:
        self._plan = plan
        self._engines = engines
        self._folder = folder
        self._chance = random.Random(plan.seed)
        self._log = Log()
        self._lags = Lags()
        self._pages: list[Page] = []
        self._reading: dict[Page, asyncio.Task[None]] = {}
        self._closing: list[asyncio.Task[None]] = []
        self._known = 9  # a port

    async def run(self) -> Result:
        with ExitStack() as programs:
            async with Storyteller(
                self._plan.seed, rate=self._plan.rate, calm=bool(self._plan.kills)
            ) as stories:
                house = House(
                    programs,
                    UPSTREAM_BASE_URL=stories.base_url,
                    REDIS_URL=self._engines.redis.url,
                    **QUICK,
                )
                house.patience = 180  # long runs are for machines that have other work too
                staff = Staff(house, self._log)
                await staff.begin()
                try:
                    result = await self._live(staff, stories)
                finally:
                    tasks = [*self._closing, *self._reading.values()]
                    for task in tasks:
                        task.cancel()
                    await asyncio.gather(*tasks, return_exceptions=True)
                    await staff.leave()
                    self._keep_outputs()
                verdicts.of_logs(result.verdict, self._log)
                return result

    async def _live(self, staff: Staff, stories: Storyteller) -> Result:
        # Far from full: that it counts right is what matters.
        await db(Budget.objects.create, scope=Scope.PORTAL, limit=10**12)
        began = time.monotonic()
        self._staff = staff
        diary = Diary(10**9 if self._plan.kills else self._plan.generations)
        people = [await self._arrive(number, diary) for number in range(self._plan.people)]
        measuring = asyncio.ensure_future(self._measure())
        talking = [
            asyncio.ensure_future(self._talk(person, user, diary)) for person, user in people
        ]
        breaker = Breaker(
            staff,
            self._engines,
            self._log,
            stories=stories,
            cut_pages=self._cut_pages,
            chance=self._chance,
        )
        if self._plan.kills:
            await breaker.kill_relays(self._plan.kills)
            diary.left = 0
            await asyncio.gather(*talking)
        else:
            enough = asyncio.Event()
            breaking = asyncio.ensure_future(breaker.run(pause=self._plan.pause, until=enough))
            await asyncio.gather(*talking)
            enough.set()
            await breaking
        measuring.cancel()
        self._engines.redis.heal()
        if self._engines.postgres is not None:
            self._engines.postgres.heal()
        quiet = time.monotonic()
        wrong = await self._until_right(quiet + QUIET_WITHIN)
        returned = time.monotonic() - quiet
        for person, _user in people:
            await person.close()
        found = await db(verdicts.of_tables, diary, stories.calls, self._log, self._lags)
        found.broken += wrong
        await db(verdicts.of_endings, found, self._pages, self._log)
        return Result(
            found,
            diary,
            self._log,
            time.monotonic() - began,
            returned,
            sum(page.connections for page in self._pages),
            len(self._pages),
        )

    # --- People and their pages ---

    async def _arrive(self, number: int, diary: Diary) -> tuple[Person, User]:
        name = f"Person{number}"
        user = await db(User.objects.create_user, f"{name}@example.com".lower(), name=name)
        cookie = await db(session_of, user)
        chance = random.Random(f"{self._plan.seed} {name}")
        return Person(name, cookie, diary, self._where, chance), user

    async def _talk(self, person: Person, user: User, diary: Diary) -> None:
        """One conversation after the other, each in two pages."""
        for number in itertools.count():
            if diary.left <= 0:
                return
            conversation = await self._patiently(_begin, f"{person.name} {number}", user)
            pages = [
                self._open(conversation, person.cookie, f"{person.name} {number} {which}")
                for which in ("first", "second")
            ]
            await person.talk(conversation, pages[0])
            for page in pages:
                self._closing.append(asyncio.ensure_future(self._close_when_right(page)))

    def _open(self, conversation: str, cookie: str, name: str) -> Page:
        chance = random.Random(f"{self._plan.seed} page {name}")
        page = Page(conversation, cookie, self._where, chance)
        self._pages.append(page)
        self._reading[page] = asyncio.ensure_future(page.run())
        return page

    async def _close_when_right(self, page: Page) -> None:
        while not await self._is_right(page):  # noqa: ASYNC110  tables ring no bell
            await asyncio.sleep(1)
        await _calmly(self._reading.pop(page))

    async def _is_right(self, page: Page) -> bool:
        """It shows what the table holds, and nothing more is to come."""
        if page.shows_writing or not page.articles:
            return False
        try:
            expected = await db(verdicts.branch_of, page.conversation)
        except AnyDatabaseError:
            return False
        return verdicts.shown_by(page) == expected

    def _where(self) -> int:
        """The port of some process; while none serves, the last one's, where nobody answers."""
        if self._staff.webs:
            self._known = self._chance.choice(self._staff.webs).port
        return self._known

    def _cut_pages(self) -> None:
        for page in self._pages:
            if self._chance.random() < 0.7:
                page.cut()

    # --- The end ---

    async def _until_right(self, deadline: float) -> list[str]:
        """What is still wrong by then: answers that are open, pages that show something else."""
        if self._closing:
            await asyncio.wait(self._closing, timeout=deadline - time.monotonic())
        wrong = [
            f"a page of {page.conversation} shows something else than the table"
            for page in self._reading
        ]
        failures = [task.exception() for task in self._closing if task.done()]
        wrong += [f"looking after a page failed: {error!r}" for error in failures if error]
        quiet = 0
        while quiet < 3 and time.monotonic() < deadline:  # or one was just being handed on
            await asyncio.sleep(0.5)
            open_ones = await db(Generation.objects.filter(settled_at=None).count)
            quiet = 0 if open_ones else quiet + 1
        return wrong

    async def _patiently(self, work: object, *arguments: object) -> str:
        for _try in range(60):
            with suppress(AnyDatabaseError):
                return str(await db(work, *arguments))  # type: ignore[arg-type]
            await asyncio.sleep(0.5)
        raise AssertionError("the database stays away")

    async def _measure(self) -> None:
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.02)
            now = time.monotonic()
            if now - before > 0.05:
                self._lags.seen.append((now, now - before - 0.02))

    def _keep_outputs(self) -> None:
        for number, (name, output) in enumerate(self._log.outputs):
            file = self._folder / f"{number:04} {name}.log"
            file.write_text(output)


def _begin(title: str, owner: User) -> str:
    row = Conversation.objects.create(title=title, model="crimson-falcon-4")
    Participant.objects.create(conversation=row, user=owner, role=Role.OWNER)
    return row.public_id


async def _calmly(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
