"""Another process's end of the channel layer: `python -m tests.hub_process`.

It has one mailbox and prints what that is sent. Each line of its standard input is something to do.
"""

import asyncio
import sys
from functools import partial

import django


class Printed:
    """The socket behind the mailbox."""

    async def write(self, wire: str) -> None:
        print("got", wire, flush=True)

    async def hang_up(self, code: int) -> None:
        print("hung up", code, flush=True)

    async def catch_up(self) -> None:
        """It never falls behind."""

    async def reauthorise(self) -> None:
        """It has no rights to lose."""


async def main() -> None:
    from conversations import events
    from tests.hubs import frame, mailbox

    hub = events.Hub()
    joining = asyncio.ensure_future(hub.run())
    box = mailbox(Printed())
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        match line.split():
            case ["begin"]:
                await hub.listen_as_relay(None)
                hub.shut(box)
                await hub.open(box)
                while hub.exchange is None or not hub.exchange.is_up:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
            case ["join", name]:
                await hub.join(events.conversation_topic(name), box)
            case ["leave", name]:
                hub.leave(events.conversation_topic(name), box)
            case ["frames", name, first, last]:
                for number in range(int(first), int(last) + 1):
                    await hub.deliver(frame(name, number))
            case ["wake"]:
                await hub.deliver(events.WorkQueued())
            case ["relay"]:
                await hub.listen_as_relay(partial(heed, hub))
        print("done", line.strip(), flush=True)
    joining.cancel()


async def heed(hub: "object", event: "object") -> None:
    from conversations import events
    from tests.hubs import keyframe

    print("told", event, flush=True)
    if isinstance(event, events.KeyframesWanted) and isinstance(hub, events.Hub):
        await hub.deliver(keyframe(event.reply_to))


if __name__ == "__main__":
    django.setup()
    asyncio.run(main())
