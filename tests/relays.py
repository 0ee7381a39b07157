"""What tests of running answers share: asking, looking into the table, waiting for an end."""

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar
from uuid import uuid4

import psycopg
from channels.db import database_sync_to_async
from django.db import connection

from conversations import actions
from conversations.models import Conversation, Generation, Message, User
from conversations.relay import Relay

T = TypeVar("T")


async def db(work: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Runs it in a thread with a connection of its own, as requests do."""
    result: T = await database_sync_to_async(work, thread_sensitive=False)(*args, **kwargs)
    return result


@asynccontextmanager
async def running(relay: Relay) -> AsyncIterator[Relay]:
    """The relay at work; at the end it is shut down as the portal does it."""
    task = asyncio.ensure_future(relay.run())
    try:
        yield relay
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextmanager
def database_locked() -> Iterator[None]:
    """Whoever writes waits; reading goes on."""
    if connection.vendor == "postgresql":
        with psycopg.connect(database_url()) as session:
            tables = "conversations_generation, conversations_message, conversations_worker"
            session.execute(f"LOCK TABLE {tables} IN EXCLUSIVE MODE".encode())
            yield
        return
    lock = sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None)
    try:
        lock.execute("BEGIN EXCLUSIVE")
        yield
    finally:
        lock.execute("ROLLBACK")
        lock.close()


def empty_the_pool() -> None:
    """New connections are made as the settings say now."""
    connection.close()
    connection.close_pool()  # type: ignore[attr-defined]  # PostgreSQL's


def database_url() -> str:
    """Of this test's database, for programs that it starts."""
    known = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{known['NAME']}"
    return f"postgres://{known['USER']}@{known['HOST']}:{known['PORT']}/{known['NAME']}"


def send(conversation: Conversation, author: User, text: str = "Why is it slow?") -> Generation:
    sent = actions.messages.send(
        conversation=conversation, author=author, text=text, request_id=uuid4()
    )
    return sent.answer.choices.get().generation


async def ask(conversation: Conversation, author: User, text: str = "Why?") -> Generation:
    return await db(send, conversation, author, text)


def load(generation: Generation) -> Generation:
    return Generation.objects.select_related("stopped_by", "conversation").get(pk=generation.pk)


def answer_of(generation: Generation) -> Message:
    choices = generation.choices.select_related("message")
    return choices.get(index=0).message


async def text_of(generation: Generation) -> str:
    message = await db(answer_of, generation)
    return message.text


async def when(
    generation: Generation, condition: Callable[[Generation], object], seconds: float = 30
) -> Generation:
    """The generation as soon as the table shows it so."""
    async with asyncio.timeout(seconds):
        while not condition(row := await db(load, generation)):  # noqa: ASYNC110  tables ring no bell
            await asyncio.sleep(0.01)
    return row


async def settled(generation: Generation, seconds: float = 30) -> Generation:
    return await when(generation, lambda row: row.settled_at, seconds)


async def kept(generation: Generation, text: str, seconds: float = 30) -> None:
    """Waits until the table holds exactly this text."""
    async with asyncio.timeout(seconds):
        while await text_of(generation) != text:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
