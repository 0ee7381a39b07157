"""A portal with next to nothing in it: `python -m tests.small_portal` serves what chatweb.server
is tried with. Prints its address when it is ready and the names of its jobs as they settle."""

import argparse
import asyncio
import os
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatweb.settings")

from chatweb import jobs, server


async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await answer_page(scope, receive, send)
    else:
        # Somebody whom the application keeps waiting in the handshake.
        await asyncio.sleep(30 if scope["path"] == "/never/" else 0)
        await answer_socket(receive, send)


async def answer_page(scope: dict[str, Any], receive: Any, send: Any) -> None:
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        if not message["more_body"]:
            break
    await asyncio.sleep({"/slow": 1, "/stuck": 30}.get(scope["path"], 0))
    loop = type(asyncio.get_running_loop()).__module__
    headers = [(b"x-loop", loop.encode()), (b"x-scheme", scope["scheme"].encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"%d bytes" % size})


async def answer_socket(receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            print(f"left with {message['code']}", flush=True)
            return
        if message["text"] == "sleep":
            await asyncio.sleep(30)
        elif message["text"] == "fall over":
            raise RuntimeError("fell over")
        elif message["text"].startswith("say "):
            await send({"type": "websocket.send", "text": "x" * int(message["text"][4:])})
        else:
            await send({"type": "websocket.send", "text": message["text"]})


async def settling_job() -> None:
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0.2)
        print("settled", flush=True)


class FailingOnce:
    def __init__(self) -> None:
        self.starts = 0

    async def __call__(self) -> None:
        self.starts += 1
        print(f"start {self.starts}", flush=True)
        if self.starts == 1:
            raise RuntimeError("the first time it fails")
        await asyncio.sleep(3600)


async def stubborn_job() -> None:
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            print("not yet", flush=True)


async def blocking_job() -> None:
    """Its thread heeds no cancellation, as one that asks a database that is away."""
    await asyncio.to_thread(time.sleep, 60)


JOBS: dict[str, jobs.Job] = {
    "blocking": blocking_job,
    "settling": settling_job,
    "failing": FailingOnce(),
    "stubborn": stubborn_job,
}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--job", action="append", default=[], choices=JOBS)
    options.add_argument("--certificate", type=Path)
    options.add_argument("--key", type=Path)
    chosen = options.parse_args()
    listener = server.listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server.run(
        listener,
        application=application,
        tls=server.Certificate(chosen.certificate, chosen.key) if chosen.key else None,
        beside={name: JOBS[name] for name in chosen.job},
        on_ready=lambda: print(f"port {port}", flush=True),
    )


if __name__ == "__main__":
    main()
