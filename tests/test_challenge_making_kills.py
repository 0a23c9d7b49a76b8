"""Making a data set is killed, at named points and at random moments; repeating it gives the same bytes.

Run as a script, this is the server of `kill_driver`, with jobs of its own; with arguments, it makes a data set with two
processes.
"""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest

import kill_driver
from ectype.challenge.making import DataSetPlan, find_photographs, make_dataset, parts, selection
from ectype.challenge.making.photographs import GlanceTask
from kill_driver import IN_MEMORY, Driver
from making_ground import QUICK, contents, draw_photographs

KILLS = int(os.environ.get("ECTYPE_TEST_KILLS", "200")) // 5
PLAN = DataSetPlan(4, 4, 2, 11, 0.5, QUICK, ("rotate",), 3)
LONGER = DataSetPlan(4, 150, 2, 11, 1.0, QUICK)
PHOTOGRAPHS = 14


def make(root: str) -> None:
    """Make a small data set in many shards, from the photographs beside it."""
    photographs = find_photographs([Path(root).parent / "photographs"])
    with (
        mock.patch.object(parts, "IMAGES_A_SHARD", 2),
        mock.patch.object(selection, "PHOTOGRAPHS_A_SHARD", 3),
        mock.patch.object(os, "sync"),
        mock.patch.object(GlanceTask, "work", _reported("glances", GlanceTask.work)),
        mock.patch.object(parts.PhotographTask, "work", _reported("photographs", parts.PhotographTask.work)),
        mock.patch.object(parts.QueryTask, "work", _reported("queries", parts.QueryTask.work)),
    ):
        make_dataset(root, photographs, PLAN, jobs=1)


def _reported(what: str, work: Callable[[object], object]) -> Callable[[object], object]:
    def call(task: object) -> object:
        done = work(task)
        kill_driver._report("did", what, str(done))
        return done

    return call


class MakingDriver(Driver):
    def __enter__(self) -> MakingDriver:
        self._process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    with MakingDriver() as started:
        yield started


def remembered(root: Path) -> int:
    """Shards that are finished; a data set that is not whole must not look as if it were."""
    if (root / "manifest.csv").exists():
        assert {"made.json", "ground_truth.csv", "recipes.jsonl", "manifest-phase2.csv"} <= {*os.listdir(root)}
    return len(list((root / ".making").glob("[!a.m]*-*[0-9].json")))


def test_making_that_was_killed_is_completed_with_the_same_bytes(
    driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(5)
    with tempfile.TemporaryDirectory(prefix="ectype-kills-", dir=IN_MEMORY) as name:
        ground = Path(name)
        draw_photographs(ground / "photographs", range(PHOTOGRAPHS), (32, 24))
        whole = driver.run("make", str(ground / "whole"), watch=True)
        assert not whole.error
        expected = contents(ground / "whole")
        points = rng.sample(list(enumerate(whole.points, 1)), len(whole.points))
        kinds = {name: number for number, name in points}
        points = [*kinds.items(), *((name, number) for number, name in points)]  # each kind once, before any again
        killed: list[str] = []
        for run in itertools.count():
            if len(killed) == KILLS:
                break
            root = ground / f"{run}"
            if run < len(kinds) or run % 2:
                point, number = points.pop(0)
                outcome = driver.run("make", str(root), watch=True, at_point=number)
            else:
                point = "random moment"
                outcome = driver.run("make", str(root), watch=True, after=rng.uniform(0.002, whole.seconds))
            assert not outcome.error
            if not outcome.killed:  # it had come to its end
                continue
            killed.append(point)
            finished = remembered(root)
            again = driver.run("make", str(root))
            assert not again.error
            assert len(again.reports) <= len(whole.reports) - finished  # nothing that is remembered is done again
            assert contents(root) == expected
    with capsys.disabled():
        sys.stdout.write(f"\n{len(killed)} kills, at {len(set(killed))} kinds of points\n")
    assert KILLS < 30 or {"random moment", "half of an image", "before replace", "after fsync"} <= set(killed)


def test_processes_end_with_the_one_that_started_them_and_what_they_made_is_completed(tmp_path: Path) -> None:
    draw_photographs(tmp_path / "photographs", range(PHOTOGRAPHS), (32, 24))
    make_dataset(tmp_path / "whole", find_photographs([tmp_path / "photographs"]), LONGER, jobs=1)
    root = tmp_path / "data"
    process = subprocess.Popen([sys.executable, __file__, str(root)], stderr=subprocess.DEVNULL)
    while not (root / "references" / "R000000.jpg").exists():
        assert process.poll() is None
        time.sleep(0.005)
    workers = _children(process.pid)
    assert workers
    process.kill()
    process.wait()
    deadline = time.monotonic() + 20
    while any(_runs(worker) for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not (root / "manifest.csv").exists()
    make_dataset(root, find_photographs([tmp_path / "photographs"]), LONGER, jobs=1)
    assert contents(root) == contents(tmp_path / "whole")


def test_a_shard_whose_images_are_damaged_is_made_again(tmp_path: Path) -> None:
    photographs = find_photographs([draw_photographs(tmp_path / "photographs", range(PHOTOGRAPHS), (32, 24))])
    make_dataset(tmp_path / "whole", photographs, PLAN, jobs=1)
    root = tmp_path / "data"

    def stop(count: int) -> None:
        if (root / "queries" / "Q000003.jpg").exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_dataset(root, photographs, PLAN, jobs=1, on_progress=stop)
    (root / "references" / "R000001.jpg").write_bytes(b"half of it")
    (root / "queries" / "Q000001.jpg").unlink()
    make_dataset(root, photographs, PLAN, jobs=1)
    assert contents(root) == contents(tmp_path / "whole")


@pytest.mark.parametrize("kilobytes", [0, 1])
def test_a_full_disk_is_told_and_making_is_completed_later(driver: Driver, tmp_path: Path, kilobytes: int) -> None:
    draw_photographs(tmp_path / "photographs", range(PHOTOGRAPHS), (32, 24))
    outcome = driver.run("with_limit", 1024 * kilobytes + 10, "make", str(tmp_path / "data"))
    assert "StorageError" in outcome.error
    assert not (tmp_path / "data" / "manifest.csv").exists()
    assert not driver.run("make", str(tmp_path / "data")).error
    assert driver.run("make", str(tmp_path / "whole")).error == ""
    assert contents(tmp_path / "data") == contents(tmp_path / "whole")


def _children(parent: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


def _runs(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _watch_images_too(point: Callable[[str], None]) -> None:
    """As `kill_driver` does, and half way through every image."""
    watch(point)
    write = Path.write_bytes

    def by_halves(path: Path, content: bytes) -> None:
        write(path, content[: len(content) // 2])
        point("half of an image")
        write(path, content)

    Path.write_bytes = by_halves


if __name__ == "__main__":
    if len(sys.argv) > 1:
        make_dataset(sys.argv[1], find_photographs([Path(sys.argv[1]).parent / "photographs"]), LONGER, jobs=2)
        sys.exit()
    watch, kill_driver._watch = kill_driver._watch, _watch_images_too
    kill_driver._JOBS["make"] = make
    kill_driver._serve()
