"""`python -m tests.bench relay|room|scale|gateway|start`: measures and prints."""

import argparse
import json
import os
import sys
from pathlib import Path

from . import gateway, relay, report, room, scale, start
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
    scales = commands.add_parser("scale", help="what a process holds, what a second one costs")
    scales.add_argument("--sockets", type=int, default=1000)
    scales.add_argument("--idle", type=float, default=30, help="seconds in which they idle")
    scales.add_argument("--viewers", type=int, default=500, help="of them, at one answer")
    scales.add_argument("--back", type=int, default=50, help="of those, cut in the middle")
    scales.add_argument("--load", type=_load, default=Load(50, 50, 10))
    scales.set_defaults(run=_scale)
    rooms = commands.add_parser("room", help="people who watch an answer together")
    rooms.add_argument(
        "--people", type=int, help="in each room, of which --load has one for each stream"
    )
    rooms.add_argument("--load", type=_load, default=Load(100, 30, 12))
    rooms.add_argument(
        "--open-webui",
        default="open-webui",
        metavar="COMMAND",
        help="runs Open WebUI, whose channels are measured too, if it is there",
    )
    rooms.set_defaults(run=_room)
    calls = commands.add_parser("gateway", help="programs, beside calling the model server itself")
    calls.add_argument("--callers", type=int, default=16, help="short questions at once")
    calls.add_argument("--load", type=_load, default=Load(50, 50, 10), help="streams")
    calls.add_argument("--redis", action="store_true", help="and once more with rates in Redis")
    calls.add_argument(
        "--litellm",
        default="litellm",
        metavar="COMMAND",
        help='runs LiteLLM\'s proxy, such as "uvx --from litellm[proxy] litellm"; if it is there',
    )
    calls.set_defaults(run=_gateway)
    chosen = parser.parse_args()
    chosen.run(chosen)


def _say_machine() -> None:
    average = ", ".join(f"{one:.1f}" for one in os.getloadavg())
    print(f"{os.cpu_count()} cores, load average {average}")


def _relay(chosen: argparse.Namespace) -> None:
    pairs = relay.run(
        chosen.load or (QUICK if chosen.quick else FULL),
        idle=min(5, chosen.idle) if chosen.quick else chosen.idle,
        rounds=chosen.rounds,
        say=_say,
    )
    load = ", ".join(f"{average:.1f}" for average in os.getloadavg())
    print(f"{os.cpu_count()} cores, load average {load}")
    print(report.table(pairs))
    if chosen.json:
        chosen.json.write_text(json.dumps(report.as_json(pairs), indent=1))


def _scale(chosen: argparse.Namespace) -> None:
    felt = scale.crowd(
        _say,
        sockets=chosen.sockets,
        idle=chosen.idle,
        viewers=chosen.viewers,
        back=chosen.back,
    )
    print(scale.table(scale.split(chosen.load, _say), felt))


def _room(chosen: argparse.Namespace) -> None:
    chosen_rooms = [room.Room(chosen.load, chosen.people)] if chosen.people else room.FULL
    measured = room.run(_say, chosen_rooms, kin=chosen.open_webui)
    _say_machine()
    print(room.table(measured))


def _gateway(chosen: argparse.Namespace) -> None:
    load = chosen.load
    measured = gateway.run(
        _say,
        callers=chosen.callers,
        streams=load.streams,
        rate=load.rate,
        seconds=load.seconds,
        redis=chosen.redis,
        kin=chosen.litellm,
    )
    _say_machine()
    print(gateway.table(measured))


def _say(text: str) -> None:
    print(f"… {text}", file=sys.stderr, flush=True)


def _load(text: str) -> Load:
    streams, rate, seconds = [*text.split("x"), "10"][:3]
    return Load(int(streams), float(rate), float(seconds))


if __name__ == "__main__":
    main()
