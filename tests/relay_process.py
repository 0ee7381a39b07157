"""A relay in a process of its own, for tests that kill it: `python -m tests.relay_process`.

Where the database and the upstream are it learns from the environment.
"""

import asyncio

import django


async def main() -> None:
    from conversations.relay import Relay

    print("ready", flush=True)
    await Relay().run()


if __name__ == "__main__":
    django.setup()
    asyncio.run(main())
