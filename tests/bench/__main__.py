"""`python -m tests.bench relay|start`: measures and prints."""

import argparse
import json
import os
import sys
from pathlib import Path

from . import relay, report, start
from .loads import FULL, QUICK, Load


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    commands = parser.add_subparsers(required=True)
    starts = commands.add_parser("start", help="start-up beside importing the packages alone")
    starts.add_argument("--rounds", type=int, default=5)
    starts.set_defaults(run=lambda chosen: print(start.run(chosen.rounds)))
    command = commands.add_parser("relay", help="the portal beside a bare relay")
    command.add_argument("--quick", action="store_true", help="fewer and shorter loads")
    command.add_argument(
        "--load",
        action="append",
        type=_load,
        metavar="STREAMSxRATE[xSECONDS]",
        help="these loads instead, such as 50x50x10",
    )
    command.add_argument(
        "--idle", type=int, default=25, help="questions asked one by one beforehand"
    )
    command.add_argument("--rounds", type=int, default=1, help="the medians of so many rounds")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    command.set_defaults(run=_relay)
    chosen = parser.parse_args()
    chosen.run(chosen)


def _relay(chosen: argparse.Namespace) -> None:
    pairs = relay.run(
        chosen.load or (QUICK if chosen.quick else FULL),
        idle=min(5, chosen.idle) if chosen.quick else chosen.idle,
        rounds=chosen.rounds,
        say=lambda text: print(f"… {text}", file=sys.stderr, flush=True),
    )
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    print(f"{os.cpu_count()} cores, load average {load}")
    print(report.table(pairs))
    if chosen.json:
        chosen.json.write_text(json.dumps(report.as_json(pairs), indent=1))


def _load(text: str) -> Load:
    streams, rate, seconds = [*text.split("x"), "10"][:3]
    return Load(int(streams), float(rate), float(seconds))


if __name__ == "__main__":
    main()
