"""`python -m tests.chaos`: a portal of several processes under random faults, and what came of it.

Prints the result, and how to have the same again; exits with 1 when a promise was not kept.
"""

import argparse
import asyncio
import secrets
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import django

from tests.chaos.engines import made

if TYPE_CHECKING:
    from tests.chaos.run import Plan


def main() -> None:
    chosen = _arguments()
    with tempfile.TemporaryDirectory(prefix="chatweb-chaos-") as folder, ExitStack() as stack:
        engines = stack.enter_context(made(chosen.database, Path(folder)))
        django.setup()
        from tests.chaos import report
        from tests.chaos.run import Plan, Run

        plan = Plan(
            generations=chosen.generations,
            kills=chosen.kills,
            people=chosen.people,
            seed=chosen.seed,
            pause=chosen.pause,
            rate=chosen.rate,
        )
        logs = chosen.logs or Path(folder)
        logs.mkdir(parents=True, exist_ok=True)
        result = asyncio.run(Run(plan, engines, logs).run())
        print(report.of(plan, chosen.database, result), flush=True)
        if result.verdict.broken:
            print(f"Again: {_again(plan, chosen.database)}", flush=True)
            sys.exit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--generations", type=int, default=250, help="to ask for; default 250")
    parser.add_argument(
        "--kills", type=int, default=0, help="instead of all faults: kill -9 of relays that write"
    )
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**31))
    parser.add_argument("--people", type=int, default=8, help="who write at once; default 8")
    parser.add_argument("--pause", type=float, default=2.0, help="seconds between faults")
    parser.add_argument("--rate", type=float, default=40.0, help="words a second of an answer")
    parser.add_argument("--logs", type=Path, metavar="FOLDER", help="keep what processes said")
    return parser.parse_args()


def _again(plan: "Plan", database: str) -> str:
    return (
        f"uv run python -m tests.chaos --database {database} --seed {plan.seed} "
        f"--generations {plan.generations} --kills {plan.kills} --people {plan.people} "
        f"--pause {plan.pause} --rate {plan.rate} --logs chaos-logs"
    )


if __name__ == "__main__":
    main()
