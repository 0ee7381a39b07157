"""`python -m tests.upstream`: play an upstream by hand."""

import argparse
import asyncio
import contextlib

from .answers import MODELS
from .scenarios import everything
from .server import ScriptedUpstream

EPILOG = "Write “#scenario NAME option=value” into a message to play one of:\n\n"


def main() -> None:
    scenarios = everything()
    listing = "\n".join(f"  {s.row or '':>3} {s.name:20} {s.summary}" for s in scenarios)
    parser = argparse.ArgumentParser(
        prog="python -m tests.upstream",
        description=f"A chat completions server on loopback with {', '.join(MODELS)}.",
        epilog=EPILOG + listing,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, default=8100, help="default 8100; 0 picks a free one")
    parser.add_argument("--key", default="", help="require this bearer key, such as test-key")
    parser.add_argument("--rate", type=float, default=40.0, help="tokens a second, default 40")
    parser.add_argument(
        "--scenario",
        default="",
        metavar="NAME",
        choices=[s.name for s in scenarios],
        help="play this one for every request",
    )
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_run(options))


async def _run(options: argparse.Namespace) -> None:
    upstream = ScriptedUpstream(
        key=options.key, port=options.port, rate=options.rate, scenario=options.scenario
    )
    async with upstream:
        print(f"Listening on {upstream.base_url} (stop with Ctrl-C)", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    main()
