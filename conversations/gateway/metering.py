"""What a call takes: of its key's and its person's share a minute, and of budgets."""

import asyncio
import logging
from dataclasses import replace

from django.conf import settings
from django.db import Error as AnyDatabaseError
from django.utils import translation

from conversations import catalogue, ledger
from conversations.counts import counts
from conversations.gateway import problems
from conversations.gateway.answering import Answering
from conversations.gateway.database import database
from conversations.gateway.rates import Take, headers, rates
from conversations.models import Key
from conversations.upstream import ChatRequest

log = logging.getLogger(__name__)

WHATEVER_IS_THERE = -1e15
SETTLE_TRIES, SETTLE_PAUSE = 5, 0.5  # then the lease runs out, and the sweep settles it


class Charge:
    """Of one call. `name` is the answer's own, which is in the ledger too. `times`: how often the
    server reads the prompt, where it gives one choice at a time."""

    def __init__(
        self, key: Key, model: catalogue.Model, request: ChatRequest, name: str, times: int = 1
    ) -> None:
        self.reference = f"call:{name}"
        self._key = key
        self._model = model
        self._request = request
        characters = sum(len(message.content) for message in request.messages)
        messages = len(request.messages)
        self._asked = ledger.estimated_tokens(characters=characters, messages=messages) * times

    # --- A minute's share ---

    async def take_share(self, answering: Answering) -> None:
        """Raises Problem where it is used up; the answer will say what is left of it."""
        key, person = self._key.public_id, self._key.user.public_id
        takes = [
            Take("requests", f"{key}:requests", settings.REQUESTS_PER_KEY, 1, 1),
            Take("requests", f"{person}:requests", settings.REQUESTS_PER_PERSON, 1, 1),
            *self._tokens(self._asked, self._asked),
        ]
        fits, levels = await rates.take(person, takes)
        answering.headers |= headers(levels)
        if not fits:
            longest = max(levels, key=lambda one: one.wait)
            raise problems.over_rate(longest.what, longest.limit, longest.wait)

    async def even_out(self, tokens: int) -> None:
        """Takes what the call took in the end, or gives back what it did not."""
        if rest := tokens - self._asked:
            await rates.take(self._key.user.public_id, self._tokens(rest, WHATEVER_IS_THERE))

    def _tokens(self, amount: int, need: float) -> list[Take]:
        whose = {
            self._key.public_id: settings.TOKENS_PER_KEY,
            self._key.user.public_id: settings.TOKENS_PER_PERSON,
        }
        # What is more than a minute's worth waits for a full bucket, not for ever.
        return [
            Take("tokens", f"{name}:tokens", limit, min(need, limit), amount)
            for name, limit in whose.items()
        ]

    # --- Budgets ---

    async def reserve(self) -> ChatRequest:
        """What may be sent: where a budget holds, with a longest answer. Raises Problem."""
        call = ledger.Call(
            reference=self.reference,
            person=self._key.user,
            model=self._model,
            key=self._key.public_id,
            key_label=self._key.name,
        )
        request = self._request
        try:
            hold = await database.ask(
                ledger.reserve,
                call,
                prompt_tokens=self._asked,
                max_tokens=request.max_tokens,
                n=request.n,
            )
        except ledger.OverBudget as over:
            with translation.override("en"):
                raise problems.over_budget(over.sentence, over.until) from over
        return replace(request, max_tokens=hold.max_tokens)

    async def settle(self, used: ledger.Used) -> int:
        """How many tokens it took."""
        for tries in range(1, SETTLE_TRIES + 1):
            try:
                record = await database.ask(ledger.settle, self.reference, used)
            except AnyDatabaseError:
                counts.database_error()
                log.exception("a call could not be settled, try %d of %d", tries, SETTLE_TRIES)
                await asyncio.sleep(SETTLE_PAUSE)
            else:
                return record.prompt_tokens + record.completion_tokens if record else 0
        return self._asked
