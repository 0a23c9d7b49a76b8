"""Processes that can be killed, for the tests of everything that writes.

Run as a script, this is a server that forks: a process costs milliseconds. It takes jobs, which are functions of this
module, and says how each ended. Named points are reached by patching, in the child, what writes.
"""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import cv2  # noqa: F401  (once for all children: what is imported late is imported by each)
import numpy as np

from ectype.collection import Collection
from ectype.collection.store import Store
from ectype.descriptors import describe_to_file, shards
from ectype.testing import ThumbnailModel
from stored_pictures import MODEL, descriptor, picture_item, small_batches

IN_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
"""For folders in which very much is written: flushing costs nothing there. None is the usual place."""
MOST_SECONDS = 60
"""A job that takes longer is ended, and so fails instead of hanging."""


# What is reported by a child reaches the test before the child can be killed at a later point.
_report: Callable[..., None] = lambda *words: None  # noqa: E731


class StorableModel(ThumbnailModel):
    """Its weights are two files."""

    def save(self, folder: Path) -> None:
        for name in ("first", "second"):
            (folder / name).write_bytes(b"weights")


def create(folder: str) -> None:
    Collection.create(folder, StorableModel()).close()


def grow(folder: str, keep_features: bool = False) -> None:
    """Do everything that a collection can do; the same again after it was killed."""
    with small_batches():
        if not (Path(folder) / "collection.sqlite").exists():
            Collection.create(folder, MODEL, keep_features=keep_features).close()
            _report("created")
        with Collection(folder) as collection:
            collection.add([picture_item(f"a{number}", number) for number in range(14)], MODEL)
            collection.remove([f"a{number}" for number in range(3, 10)])
            collection.add([picture_item(f"b{number}", 100 + number) for number in range(4)], MODEL, replace=True)
            collection.add([picture_item(f"b{number}", 200 + number) for number in range(1, 6)], MODEL, replace=True)
            collection.rebuild()


SHARD = 4
DESCRIBED = [picture_item(f"image-{number}", 300 + number) for number in range(22)]


def grow_keeping(folder: str) -> None:
    """The same with a collection that keeps local features."""
    grow(folder, keep_features=True)


def describe(output: str) -> None:
    describe_to_file(DESCRIBED, MODEL, output, shard_size=SHARD)


def keep_adding(folder: str, first: int, count: int, of_each: int) -> None:
    """Add pictures a few at a time, each under its seed as id."""
    with small_batches(), Collection(folder) as collection:
        for start in range(first, first + count, of_each):
            items = [picture_item(str(seed), seed) for seed in range(start, min(start + of_each, first + count))]
            report = collection.add(items, MODEL)
            _report("added", report.added, report.unchanged, len(report.skipped))


def add_slowly(folder: str, first: int, count: int) -> None:
    class SlowModel(ThumbnailModel):
        def describe(self, images: Sequence[np.ndarray]) -> np.ndarray:
            time.sleep(0.01)
            return super().describe(images)

    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a process in the background may lack
    with small_batches(), Collection(folder) as collection:
        collection.add([picture_item(str(seed), seed) for seed in range(first, first + count)], SlowModel())


def with_limit(bytes_a_file: int, job: str, *arguments: Any) -> None:
    """Do a job with a limit on the sizes of files, as a disk that is full."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_a_file, bytes_a_file))
    _JOBS[job](*arguments)


def as_nobody(job: str, *arguments: Any) -> None:
    """Do a job without the rights of the super-user."""
    if os.getuid() == 0:
        _import_everything()
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
    _JOBS[job](*arguments)


def _import_everything() -> None:
    """Do all kinds of work once, since what is imported late may lie where only the super-user may read."""
    with mock.patch.dict(globals(), _report=lambda *words: None), tempfile.TemporaryDirectory() as folder:
        grow(f"{folder}/collection")
        describe(f"{folder}/o.h5")
        with Collection(f"{folder}/collection") as collection:
            collection.search(descriptor(0)[None])


def read_slowly(folder: str, seeds: list[int], until: int) -> None:
    """Search until a number of images is there; what is there must be found at any time."""
    with Collection(folder) as collection:
        _report("reading", len(collection))
        while True:
            count = len(collection)
            found = collection.search(np.array([descriptor(seed) for seed in seeds], np.float32), 1)
            names = collection.references(found.reference_rows)
            _report("found", count, [names[row].id for row in found.reference_rows.tolist()], found.scores.tolist())
            if count >= until:
                return
            time.sleep(0.01)


def lock(folder: str) -> None:
    """Begin to write, and never end."""
    connection = sqlite3.connect(Path(folder) / "collection.sqlite", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    _report("locked")
    time.sleep(MOST_SECONDS)


_JOBS: dict[str, Callable[..., None]] = {
    job.__name__: job
    for job in (
        create,
        grow,
        grow_keeping,
        describe,
        keep_adding,
        add_slowly,
        with_limit,
        as_nobody,
        read_slowly,
        lock,
    )
}


def _watch(point: Callable[[str], None]) -> None:
    """Have `point` called with a name wherever something is about to be written, half written or written."""

    def around(function: Callable[..., Any], name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            point(f"before {name}")
            result = function(*arguments, **options)
            point(f"after {name}")
            return result

        return call

    def by_halves(write: Callable[..., None], name: str) -> Callable[..., None]:
        def call(file: Any, *arguments: Any, **options: Any) -> None:
            whole = io.BytesIO()
            write(whole, *arguments, **options)
            content = whole.getvalue()
            file.write(content[: len(content) // 2])
            file.flush()
            point(f"half of {name}")
            file.write(content[len(content) // 2 :])

        return call

    def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection = _connect(*arguments, **options)
        connection.set_trace_callback(on_statement)
        return connection

    def on_statement(statement: str) -> None:
        words = statement.split()
        if words[0] not in ("SELECT", "PRAGMA", "--"):
            point("before " + " ".join(words[:3]))

    _connect, sqlite3.connect = sqlite3.connect, connect
    for module, name in ((os, "replace"), (os, "fsync"), (os, "unlink"), (os, "rmdir"), (os, "mkdir")):
        setattr(module, name, around(getattr(module, name), name))
    np.save, np.savez = by_halves(np.save, "save"), by_halves(np.savez, "savez")
    shards._vectors = around(shards._vectors, "a block of the merge")

    def acknowledged(name: str) -> Callable[..., Any]:
        method = around(getattr(Store, name), name)

        def call(store: Store, given: Iterable[Any], **options: Any) -> Any:
            given = list(given)
            result = method(store, given, **options)
            if name == "remove":
                _report(name, result)
            elif given:
                _report(name, {image.id: image.metadata["seed"] for image in given})
            return result

        return call

    Store.insert, Store.remove = acknowledged("insert"), acknowledged("remove")


@dataclass(frozen=True)
class Outcome:
    """How a job ended: its reports, the points it passed, whether it was killed, and the error otherwise."""

    reports: list[Any]
    points: list[str]
    killed: bool
    error: str
    seconds: float


class Driver:
    """The server, as the tests see it. One job at a time."""

    def __enter__(self) -> Driver:
        self._process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def start(
        self, job: str, *arguments: Any, at_point: int | None = None, after: float | None = None, watch: bool = False
    ) -> None:
        """Start a job, to be killed at the n-th point, or after some seconds."""
        order = {"job": job, "arguments": arguments, "at_point": at_point, "after": after, "watch": watch}
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        self._process.stdin.flush()

    def next_line(self) -> tuple[str, Any]:
        """A word and what belongs to it: first "pid", then "report", "points" or "error", at last "end"."""
        word, content = json.loads(self._process.stdout.readline())
        return word, content

    def wait_for_report(self) -> Any:
        """What the job that was started reports next."""
        word, content = self.next_line()
        while word == "pid":
            word, content = self.next_line()
        assert word == "report", content
        return content

    def finish(self) -> Outcome:
        """Wait for the end of the job that was started."""
        found: dict[str, Any] = {"points": [], "error": ""}
        reports = []
        while "end" not in found:
            word, content = self.next_line()
            if word == "report":
                reports.append(content)
            else:
                found[word] = content
        status, seconds = found["end"]
        if status not in (0, -signal.SIGKILL):
            found["error"] = f"the job ended with status {status}"
        return Outcome(reports, found["points"], status == -signal.SIGKILL, found["error"], seconds)

    def run(self, job: str, *arguments: Any, **options: Any) -> Outcome:
        self.start(job, *arguments, **options)
        return self.finish()


def _serve() -> None:
    for line in sys.stdin.buffer:
        order = json.loads(line)
        start = time.perf_counter()
        child = os.fork()
        if child == 0:
            _obey(order)
        if order["after"] is not None:
            time.sleep(order["after"])
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        _write("end", (os.waitstatus_to_exitcode(status), time.perf_counter() - start))


def _write(word: str, content: object) -> None:
    os.write(1, json.dumps((word, content)).encode() + b"\n")  # in one piece, since it is short


def _obey(order: dict[str, Any]) -> None:
    global _report
    signal.alarm(MOST_SECONDS)
    _write("pid", os.getpid())
    _report = lambda *words: _write("report", words)  # noqa: E731
    points: list[str] = []

    def point(name: str) -> None:
        points.append(name)
        if len(points) == order["at_point"]:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        if order["watch"] or order["at_point"] is not None:
            _watch(point)
        _JOBS[order["job"]](*order["arguments"])
        if order["watch"]:
            _write("points", points)
    except BaseException:
        _write("error", traceback.format_exc())
    os._exit(0)


if __name__ == "__main__":
    _serve()
