"""What a call takes of its key's and its person's share a minute."""

from django.conf import settings

from conversations.gateway import problems
from conversations.gateway.answering import Answering
from conversations.gateway.objects import estimated
from conversations.gateway.rates import Take, headers, rates
from conversations.models import Key
from conversations.upstream import ChatRequest, UsageReported


class Share:
    """Of one call: what it asks was taken at the beginning, the rest is taken at its end."""

    def __init__(self, key: Key, asked: int) -> None:
        self.used = UsageReported(0, 0)
        self._key = key
        self._asked = asked

    async def end(self) -> None:
        """Takes the answer's tokens, whatever is there; gives back what was not used."""
        rest = self.used.prompt_tokens + self.used.completion_tokens - self._asked
        if rest:
            need = -1e15
            takes = [_tokens(self._key, rest, need), _tokens_of_person(self._key, rest, need)]
            await rates.take(self._key.user.public_id, takes)


async def begin(key: Key, request: ChatRequest, answering: Answering) -> Share:
    """Raises Problem where the share is used up; the answer will say what is left of it."""
    asked = estimated(request, 0).prompt_tokens
    takes = [
        Take("requests", f"{key.public_id}:requests", settings.REQUESTS_PER_KEY, 1, 1),
        Take("requests", f"{key.user.public_id}:requests", settings.REQUESTS_PER_PERSON, 1, 1),
        _tokens(key, asked, asked),
        _tokens_of_person(key, asked, asked),
    ]
    fits, levels = await rates.take(key.user.public_id, takes)
    answering.headers |= headers(levels)
    if not fits:
        longest = max(levels, key=lambda one: one.wait)
        raise problems.over_rate(longest.what, longest.limit, longest.wait)
    return Share(key, asked)


def _tokens(key: Key, amount: int, need: float) -> Take:
    return _of_tokens(key.public_id, settings.TOKENS_PER_KEY, amount, need)


def _tokens_of_person(key: Key, amount: int, need: float) -> Take:
    return _of_tokens(key.user.public_id, settings.TOKENS_PER_PERSON, amount, need)


def _of_tokens(whose: str, limit: int, amount: int, need: float) -> Take:
    # What is more than a minute's worth waits for a full bucket, not for ever.
    return Take("tokens", f"{whose}:tokens", limit, min(need, limit), amount)
