"""The portal with its relay in a process of its own: `python -m tests.portal_process`.

Serves on a free port, which it prints. Where the database and the upstream are it learns from the
environment; tables are expected to be there.
"""

from pathlib import Path

import django

from chatweb import settings


async def relay() -> None:
    from conversations.relay import Relay

    await Relay().run()


def main() -> None:
    from chatweb import databases, server
    from conversations import probes
    from conversations.gateway import calls

    listener = server.listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    server.run(
        listener,
        beside={
            "pool": databases.look_after_pool,
            "gateway": calls.run,
            "relay": relay,
            **probes.beside(),
        },
        on_ready=lambda: print(f"port {port}", flush=True),
    )


if __name__ == "__main__":
    # No static files are collected for a test, which WhiteNoise would complain of.
    settings.STORAGES["staticfiles"] = {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
    }
    Path(settings.STATIC_ROOT).mkdir(parents=True, exist_ok=True)
    django.setup()
    main()
