"""Charts as numbers: where a template draws its bars. No script and no inline style."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

WIDTH, HEIGHT = 720, 160
GAP = 0.25  # of a bar's place
LABELS = 6


@dataclass(frozen=True, slots=True)
class Bar:
    """One day: from the bottom up, one part for each number."""

    day: date
    x: float
    width: float
    parts: tuple[tuple[float, float], ...]  # top and height
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    bars: tuple[Bar, ...]
    # Places and days to write below.
    labels: tuple[tuple[float, date], ...]
    highest: int
    width: int = WIDTH
    height: int = HEIGHT


def bars(days: Sequence[tuple[date, Sequence[int]]]) -> Chart:
    """Stacked bars side by side, the highest as high as the chart."""
    highest = max((sum(values) for _day, values in days), default=0)
    place = WIDTH / max(1, len(days))
    drawn = []
    for number, (day, values) in enumerate(days):
        top, parts = float(HEIGHT), []
        for value in values:
            height = value / highest * HEIGHT if highest else 0.0
            top -= height
            parts.append((round(top, 2), round(height, 2)))
        x = (number + GAP / 2) * place
        drawn.append(
            Bar(day, round(x, 2), round(place * (1 - GAP), 2), tuple(parts), tuple(values))
        )
    step = max(1, -(-len(days) // LABELS))
    labels = tuple(
        (round((number + 0.5) * place, 2), days[number][0]) for number in range(0, len(days), step)
    )
    return Chart(tuple(drawn), labels, highest)
