"""The table."""

from dataclasses import asdict
from typing import Any

from .people import Measured
from .relay import Pair

HEAD = (
    ("load", "", ""),
    ("", "", ""),
    ("CPU", "µs/token", "writing"),
    ("CPU", "µs/token", "whole"),
    ("of a", "core", "%"),
    ("delay", "ms", "p50"),
    ("delay", "ms", "p99"),
    ("CPU", "ms a", "question"),
    ("first", "words idle", "ms p50"),
    ("first", "words idle", "ms p99"),
    ("first", "words", "ms p50"),
    ("first", "words", "ms p99"),
    ("bytes", "to viewer", "a token"),
    ("RSS", "start", "MB"),
    ("RSS", "warm", "MB"),
    ("RSS", "peak", "MB"),
    ("whole", "answers", ""),
)


def table(pairs: list[Pair]) -> str:
    rows: list[tuple[str, ...]] = list(zip(*HEAD, strict=True))
    for pair in pairs:
        ratio = pair.portal.cpu / pair.bare.cpu
        whole = pair.portal.cpu_whole / pair.bare.cpu_whole
        rows.append((pair.load.name, "bare", *_figures(pair.bare)))
        rows.append(("", "portal", *_figures(pair.portal)))
        rows.append(("", "ratio", f"{ratio:.2f}", f"{whole:.2f}", *[""] * 13))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    return "\n".join(_line(row, widths) for row in rows)


def as_json(pairs: list[Pair]) -> list[dict[str, Any]]:
    return [asdict(pair) | {"cpu_ratio": pair.portal.cpu / pair.bare.cpu} for pair in pairs]


def _figures(measured: Measured) -> list[str]:
    *figures, whole, answers = asdict(measured).values()
    return [
        *(f"{figure:.{0 if figure >= 100 else 1}f}" for figure in figures),
        f"{whole}/{answers}",
    ]


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    names = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
    figures = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
    return "  ".join([*names, *figures]).rstrip()
