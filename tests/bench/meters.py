"""What another process of this machine has used. Linux only."""

import time
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """Of all its threads, living and ended. The clock's number is what clock_getcpuclockid(3)
    gives, to the nanosecond, where /proc counts hundredths of a second."""
    return time.clock_gettime(~pid << 3 | 2)


def memory(pid: int) -> float:
    """Resident, in MB (10⁶ bytes)."""
    return _status(pid, "VmRSS")


def most_memory(pid: int) -> float:
    """The most that was ever resident, in MB."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024 / 1e6
    raise LookupError(name)
