"""People of a chaos run: they ask, stop, retry and continue, and do not give up easily."""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import httpx
from django.conf import settings

from tests.chaos.pages import Page, Shown

PATIENCE = 90.0  # seconds, until somebody says that an answer never ended
QUESTIONS = 8  # of one conversation


@dataclass
class Diary:
    """What all people did, as they know it. Of an uncertain deed the answer was lost."""

    left: int  # generations still to ask for
    questions: dict[UUID, str] = field(default_factory=dict)
    asked: int = 0
    uncertain: int = 0
    twice: int = 0
    stopped: int = 0
    retried: int = 0
    continued: int = 0
    complaints: list[str] = field(default_factory=list)

    def take(self) -> bool:
        self.left -= 1
        return self.left >= 0


class Person:
    """Writes in its conversations one after the other, and watches each with its page."""

    def __init__(
        self, name: str, cookie: str, diary: Diary, where: Callable[[], int], chance: random.Random
    ) -> None:
        self.name = name
        self.cookie = cookie
        self.page: Page | None = None
        self._diary = diary
        self._where = where
        self._chance = chance
        token = "".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=32))
        self._client = httpx.AsyncClient(
            cookies={settings.SESSION_COOKIE_NAME: cookie, settings.CSRF_COOKIE_NAME: token},
            headers={"X-CSRFToken": token, "HX-Request": "true"},
            timeout=30,
            trust_env=False,
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def talk(self, conversation: str, page: Page) -> None:
        self.page = page
        for _question in range(QUESTIONS):
            if not self._diary.take():
                return
            if not await self._ask(conversation):
                return
            if not await self._hear_out() or not await self._send_what_waits(conversation):
                return
            while self._chance.random() < 0.4 and self._diary.take():
                if not await self._once_more() or not await self._hear_out():
                    return

    # --- Asking ---

    async def _ask(self, conversation: str) -> bool:
        """Until it is taken; the same question with the same id, sometimes twice at once."""
        request_id = UUID(int=self._chance.getrandbits(128), version=4)
        text = f"{self.name} asks for the {len(self._diary.questions)}th time: why?"
        self._diary.questions[request_id] = text
        fields = {"text": text, "request_id": str(request_id)}
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            copies = 2 if self._chance.random() < 0.2 else 1
            self._diary.twice += copies - 1
            path = f"/c/{conversation}/messages/"
            codes = await asyncio.gather(*(self._post(path, **fields) for _ in range(copies)))
            if 200 in codes:
                self._diary.asked += 1
                return True
            if strange := set(codes) - {0, 409, 503}:
                self._complain(f"a question was answered with {strange}")
                return False
            await asyncio.sleep(self._chance.uniform(0.2, 0.8))
        self._complain("a question was not taken")
        return False

    async def _send_what_waits(self, conversation: str) -> bool:
        """The question came while an answer was handed on: it waits, and should that have broken
        off too, it waits for somebody to say so."""
        for _turn in range(QUESTIONS):
            if await self._post(f"/c/{conversation}/queue/next/") != 204:
                return True
            if not await self._hear_out():
                return False
        return True

    async def _once_more(self) -> bool:
        """Retry, or Continue where it is offered."""
        last = self._last()
        if last is None:
            return False
        name, shown = last
        going_on = shown.offers("continuations") and self._chance.random() < 0.7
        if not going_on and not shown.offers("alternatives"):
            return True  # handed on meanwhile: it is being written
        verb = "continuations" if going_on else "alternatives"
        code = await self._post(f"/m/{name}/{verb}/")
        if code == 0 or code >= 500:
            self._diary.uncertain += 1
            await asyncio.sleep(1)
        elif code == 204:
            self._diary.continued += going_on
            self._diary.retried += not going_on
        elif code != 409:
            self._complain(f"{verb} was answered with {code}")
        if code == 204:
            await self._until(lambda: self._last() != last, PATIENCE, "nothing came of " + verb)
        return True

    async def _post(self, path: str, **fields: str) -> int:
        """The status; 0 when there was no answer."""
        with suppress(httpx.HTTPError):
            address = f"http://127.0.0.1:{self._where()}{path}"
            return (await self._client.post(address, data=fields)).status_code
        return 0

    # --- Waiting ---

    async def _hear_out(self) -> bool:
        """Until the page says that the answer has ended; now and then it is stopped."""
        asked = time.monotonic()
        if self._chance.random() < 0.15:
            await asyncio.sleep(self._chance.uniform(0, 2))
            if (last := self._last()) is not None and (generation := last[1].generation):
                code = await self._post(f"/g/{generation}/stop/")
                self._diary.stopped += code == 204
        await asyncio.sleep(0.1)
        return await self._until(
            lambda: (last := self._last()) is not None and not last[1].generation,
            PATIENCE - (time.monotonic() - asked),
            "an answer never ended",
        )

    def _last(self) -> tuple[str, Shown] | None:
        """The newest message that the page shows, if it is an answer."""
        if self.page is None or not self.page.articles:
            return None
        name = [*self.page.articles][-1]
        shown = self.page.articles[name]
        return (name, shown) if "data-answer" in shown.html else None

    async def _until(self, condition: Callable[[], bool], seconds: float, or_else: str) -> bool:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                self._complain(or_else)
                return False
            await asyncio.sleep(0.05)
        return True

    def _complain(self, about: str) -> None:
        self._diary.complaints.append(f"{self.name}: {about}")
