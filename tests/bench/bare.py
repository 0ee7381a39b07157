"""`python -m tests.bench.bare BASE_URL`: the floor. A read of the upstream is a message."""

import asyncio
import sys

import httpx
import uvloop
from websockets.asyncio.server import ServerConnection, serve

from conversations.upstream.transport import PacedTransport


async def main(base_url: str) -> None:
    transport = PacedTransport(connections=1000, keepalive=4, ca_file="", trust_env=False)
    client = httpx.AsyncClient(transport=transport, timeout=None)

    async def relay(socket: ServerConnection) -> None:
        async for question in socket:
            request = client.stream("POST", f"{base_url}/chat/completions", content=question)
            async with request as response:
                async for piece in response.aiter_raw():
                    await socket.send(piece.decode())

    async with client, serve(relay, "127.0.0.1", 0, compression=None) as server:
        host, port = next(iter(server.sockets)).getsockname()
        print(f"Address http://{host}:{port}/", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
