"""How many people, how fast and for how long."""

from dataclasses import dataclass

# People do not press Send in the same instant: this many do in a second.
SUBMITS_PER_SECOND = 25


@dataclass(frozen=True)
class Load:
    """`streams` answers at once, each of `rate` tokens a second, measured for `seconds`.

    They go on for `slack` seconds more, so that none ends while it is measured.
    """

    streams: int
    rate: float
    seconds: float
    slack: float = 3.0

    @property
    def name(self) -> str:
        return f"{self.streams} streams, {self.rate:g}/s"

    @property
    def ramp(self) -> float:
        """Seconds in which the questions are sent."""
        return self.streams / SUBMITS_PER_SECOND

    @property
    def tokens(self) -> int:
        """In each answer."""
        return round(self.rate * (self.ramp + self.seconds + self.slack))

    @property
    def patience(self) -> float:
        """Seconds after which somebody who still waits has found a fault."""
        return 60 + 4 * (self.ramp + self.seconds + self.slack)


FULL = (Load(1, 50, 10), Load(50, 50, 10), Load(200, 10, 10))
QUICK = (Load(1, 50, 3), Load(50, 50, 3))
