"""Processes that work on tasks, all cores at once.

They are started afresh ("spawn"): forks of a process in which OpenCV or OpenMP have threads crash now and then. Threads
would wait for each other, since much of an edit holds Python's lock.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Protocol, TypeVar

from ectype.errors import ChallengeError

Result = TypeVar("Result", covariant=True)
_AHEAD = 2  # tasks that wait for each process


class Task(Protocol[Result]):
    """Something to be done that another process can be told."""

    def work(self) -> Result: ...


class Crew:
    """Works on tasks; made by `crew`."""

    def __init__(self, pool: ProcessPoolExecutor | None, jobs: int) -> None:
        self._pool, self._jobs = pool, jobs

    def results(self, tasks: Iterable[Task[Result]]) -> Iterator[Result]:
        """What comes of each task, in their order; tasks are taken up a few ahead.

        Raises
        ------
        ChallengeError
            A process was ended from outside.
        """
        if self._pool is None:
            for task in tasks:
                yield task.work()
            return
        waiting: deque[Future[Result]] = deque()
        try:
            for task in tasks:
                waiting.append(self._pool.submit(_work, task))
                if len(waiting) > self._jobs * _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        except BrokenProcessPool:
            raise ChallengeError(
                "a process was ended from outside, perhaps because memory ran out; run the same command again to go "
                "on, with fewer processes (--jobs)"
            ) from None
        finally:
            for future in waiting:
                future.cancel()


@contextmanager
def crew(jobs: int) -> Iterator[Crew]:
    """So many processes; with one job, this process does everything itself."""
    if jobs == 1:
        yield Crew(None, jobs)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin) as pool:
        yield Crew(pool, jobs)


def _work(task: Task[Result]) -> Result:
    return task.work()


def _begin() -> None:
    """Work on one core, let the first process answer to Ctrl-C, and end when it ends, however it does."""
    import cv2

    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
