"""Doing one thing with many files at once, with one count of progress."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from threading import Lock
from typing import TypeVar

from ectype.types import OnProgress

Item = TypeVar("Item")
Result = TypeVar("Result")


class _StoppedError(Exception):
    """Another item has failed, or the user has interrupted."""


def in_parallel(
    work: Callable[[Item, OnProgress], Result],
    items: Sequence[Item],
    workers: int,
    on_progress: OnProgress | None = None,
) -> list[Result]:
    """Do `work` with every item, some at a time in threads; the results are in the order of the items.

    Parameters
    ----------
    work : callable
        Gets an item and what it calls with the number of bytes done since the last call. When one item fails, that
        call ends the others, so `work` must call it often, and clean up when it raises.
    items : sequence
    workers : int
        Threads.
    on_progress : callable, optional
        Called with numbers of bytes, by one thread at a time.

    Raises
    ------
    Exception
        The first that `work` raised, once no other item is being worked on.
    """
    lock, stopping = Lock(), False

    def tick(count: int) -> None:
        with lock:
            if stopping:
                raise _StoppedError
            if on_progress is not None:
                on_progress(count)

    with ThreadPoolExecutor(max_workers=workers) as executor:
        try:
            futures = [executor.submit(work, item, tick) for item in items]
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            for future in filter(done.__contains__, futures):
                future.result()
            return [future.result() for future in futures]
        finally:
            stopping = True
            executor.shutdown(wait=False, cancel_futures=True)
