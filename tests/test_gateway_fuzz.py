"""Whatever stands where a key should: nobody gets in, and all of it is answered alike."""

import asyncio
import logging
import re

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from conversations.models import Key
from tests.programs import COMPLETIONS, MODEL, Called, body, call
from tests.relays import db
from tests.upstream import ScriptedUpstream

pytestmark = pytest.mark.django_db(transaction=True)

EXAMPLES = 500
ADDRESSES = [("POST", COMPLETIONS), ("GET", "/v1/models"), ("GET", f"/v1/models/{MODEL}")]
TRICKS = [
    *(b"' OR 1=1 --", b"%00", b"\x00", b"\r\nX-Evil: 1", b"\\", b"*", b",", b";", b" Bearer "),
    *(b"\xff\xfe", b"\xc0\xae", b"\xa0", b"\x85", "\u017f\u212a".encode(), b"{{7*7}}", b"../../"),
]
SCHEMES = [b"Bearer ", b"bearer  ", b"Bearer\t", b"Basic ", b"Token ", b"", b"Bearer:"]
KEPT = 13  # characters, by which a key is looked up


def near(token: bytes) -> st.SearchStrategy[bytes]:
    """Almost the key: what a look-up by its beginning finds, and a comparison has to refuse."""
    cut, trick = st.integers(0, len(token)), st.sampled_from(TRICKS)
    tail = st.binary(max_size=60)
    alphabet = st.text("aZ09", min_size=len(token) - KEPT, max_size=len(token) - KEPT)
    return st.one_of(
        cut.map(lambda at: token[:at]),
        alphabet.map(lambda rest: token[:KEPT] + rest.encode()),
        st.builds(lambda at, rest: token[:at] + rest + token[at + 1 :], cut, tail),
        st.builds(lambda at, trick: token[:at] + trick + token[at:], cut, trick),
        st.sampled_from([token.swapcase(), token.upper(), token[::-1], token * 2, token * 1000]),
    )


def values(token: bytes) -> st.SearchStrategy[bytes]:
    scheme = st.one_of(st.sampled_from(SCHEMES), st.binary(max_size=10))
    return st.one_of(
        st.binary(max_size=300),
        near(token).map(lambda almost: b"Bearer " + almost),
        st.builds(bytes.__add__, scheme, st.one_of(near(token), st.binary(max_size=100))),
    )


async def test_nothing_but_the_key_opens_and_all_else_is_answered_alike(
    token: str, keyed: ScriptedUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    loop = asyncio.get_running_loop()
    the_key = re.compile(rb"[ \t]*(?i:bearer) [ \t]*" + token.encode() + rb"[ \t]*")

    async def shown(sent: list[bytes], method: str, path: str) -> tuple[int, str, dict[str, str]]:
        got = await Called(sent=body(), method=method, path=path, authorizations=sent).all()
        name = got.headers.pop("x-request-id")
        assert re.fullmatch("[0-9a-f]{16}", name)
        return got.status, got.text, got.headers

    unknown = await shown([b"Bearer lt_" + b"a" * 53], *ADDRESSES[0])
    assert unknown[0] == 401

    for trick in TRICKS:
        assert await shown([b"Bearer " + token.encode() + trick], *ADDRESSES[0]) == unknown

    @given(st.lists(values(token.encode()), min_size=1, max_size=3), st.sampled_from(ADDRESSES))
    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    def refused(sent: list[bytes], address: tuple[str, str]) -> None:
        assume(len(sent) > 1 or not the_key.fullmatch(sent[0]))
        answer = asyncio.run_coroutine_threadsafe(shown(sent, *address), loop).result(30)
        assert answer == unknown

    await asyncio.to_thread(refused)
    key = await db(Key.objects.get)
    assert key.last_used_at is None
    assert keyed.requests == []
    for secret in (token, token[KEPT:], key.key_hash):
        assert secret not in caplog.text
    assert (await call(token, body())).status == 200
