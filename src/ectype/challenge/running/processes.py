"""A tree of processes, as Linux shows it below /proc: who belongs to it, how much memory it takes, and its end.

The launcher uses this module, too, so it needs the standard library alone.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

_SECONDS_BETWEEN_PASSES = 0.005


def descendants(root: int) -> list[int]:
    """Ids of every living process below `root`, children before grandchildren; without `root` and zombies.

    A process whose parent has died stays in the tree if an ancestor adopts orphans: process 1 of a PID namespace, or
    a child subreaper.
    """
    children: dict[int, list[int]] = {}
    dead: set[int] = set()
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                state, parent = _state_and_parent(name)
                children.setdefault(parent, []).append(int(name))
                if state in b"ZX":
                    dead.add(int(name))
    found: list[int] = []
    level = [root]
    while level:
        level = [child for parent in level for child in children.get(parent, ())]
        found += level
    return [process for process in found if process not in dead]


def _state_and_parent(process: str) -> tuple[bytes, int]:
    fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()  # the name may hold spaces
    return fields[0], int(fields[1])


def memory_of(processes: list[int]) -> int:
    """Bytes of main memory that processes take together; what several share is counted once.

    The proportional set size, where the kernel shows it; of other processes the resident set size, which is never
    smaller.
    """
    return sum(map(_memory_of_one, processes))


def _memory_of_one(process: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{process}/smaps_rollup").read_bytes().splitlines():
            if line.startswith(b"Pss:"):
                return int(line.split()[1]) * 1024
    with suppress(OSError):
        resident_pages = int(Path(f"/proc/{process}/statm").read_bytes().split()[1])
        return resident_pages * os.sysconf("SC_PAGE_SIZE")
    return 0  # it has ended


def kill_descendants(root: int) -> None:
    """End every process below `root`, also those that are started meanwhile."""
    while remaining := descendants(root):
        for process in remaining:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(_SECONDS_BETWEEN_PASSES)
