"""Whether this process is well, and whether it still takes on work."""

_leaving = False


def leave() -> None:
    """From now on this process finishes what it has and takes nothing new."""
    global _leaving  # noqa: PLW0603  one process, one life
    _leaving = True


def is_leaving() -> bool:
    return _leaving
