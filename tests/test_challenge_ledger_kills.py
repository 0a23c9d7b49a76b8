"""A host's process is killed while it takes submissions, at named points and at random moments.

Run as a script, this is the server of `kill_driver`, with a job of its own.
"""

from __future__ import annotations

import itertools
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import kill_driver
from challenge_ground import HOUR, PHASE1, SetClock, opened, write_matching
from ectype.challenge.hosting.host import Host
from ectype.challenge.hosting.refereeing import record_freeze
from ectype.challenge.hosting.submitting import submit
from ectype.challenge.hosting.verifying import verify_challenge
from ectype.collection.store import Store as CollectionStore
from ectype.errors import SubmissionError
from kill_driver import IN_MEMORY, Driver
from test_challenge_freeze import frozen

KILLS = int(os.environ.get("ECTYPE_TEST_KILLS", "200")) // 4
FILES, LIMIT = 8, 6


def keep_submitting(root: str) -> None:
    """Freeze and submit until all is used up; the same again after it was killed."""
    folder, clock = Path(root), SetClock()
    with Host(folder, clock) as host:
        last = host.ledger.entries()[-1].time
        clock.now = max(PHASE1, last)
        kill_driver._report("frozen", record_freeze(host, frozen("red")))
        for number in range(FILES):
            clock.now = max(PHASE1 + 12 * number * HOUR, last)
            try:
                receipt = submit(host, folder / f"{number}.csv", "red")
            except SubmissionError as error:
                kill_driver._report("refused", number, str(error))
            else:
                score = receipt.submission.score
                kill_driver._report("accepted", receipt.submission.sha256, score.micro_average_precision)


class SubmissionDriver(Driver):
    def __enter__(self) -> SubmissionDriver:
        self._process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    with SubmissionDriver() as started:
        yield started


@pytest.fixture
def ground() -> Iterator[Path]:
    """A folder with a challenge that is copied for each run."""
    with tempfile.TemporaryDirectory(prefix="ectype-kills-", dir=IN_MEMORY) as folder:
        opened(Path(folder, "start"), SetClock()).close()
        for number in range(FILES):
            write_matching(Path(folder, "start", f"{number}.csv"), right=3 + number % 5, seed=number)
        yield Path(folder)


def check(root: Path, reports: list) -> None:
    """The ledger is sound, holds what was acknowledged, and keeps the limits."""
    assert verify_challenge(root).problems == ()
    with Host(root, SetClock(PHASE1)) as host:
        standing = host.standing()
    scores = {one.sha256: one.score for one in standing.submissions.values()}
    assert len(scores) == len(standing.submissions) <= LIMIT
    for word, first, *rest in reports:
        if word == "accepted":
            assert scores[first].micro_average_precision == rest[0]
        if word == "frozen":
            assert [one.digest for one in standing.freezes] == [first]


def test_no_submission_is_lost_and_none_counts_twice_whenever_the_host_is_killed(
    driver: Driver, ground: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(7)
    whole = driver.run("keep_submitting", str(shutil.copytree(ground / "start", ground / "whole")), watch=True)
    assert not whole.error
    assert [report[0] for report in whole.reports] == ["frozen", *["accepted"] * LIMIT, *["refused"] * (FILES - LIMIT)]
    points = rng.sample(list(enumerate(whole.points, 1)), len(whole.points))
    kinds = {name: number for number, name in points}
    named = itertools.cycle([*kinds.items(), *((name, number) for number, name in points)])  # each kind once, at first
    killed: list[str] = []
    run = 0
    while len(killed) < KILLS:
        run += 1
        root = shutil.copytree(ground / "start", ground / f"{run}")
        if run <= len(kinds) or run % 2:
            name, number = next(named)
            outcome = driver.run("keep_submitting", str(root), watch=True, at_point=number)
        else:
            name = "random moment"
            outcome = driver.run("keep_submitting", str(root), watch=True, after=rng.uniform(0.002, whole.seconds))
        assert not outcome.error
        if not outcome.killed:  # it had come to its end
            continue
        killed.append(name)
        check(root, outcome.reports)
        again = driver.run("keep_submitting", str(root))
        assert not again.error
        check(root, [*outcome.reports, *again.reports])
        with Host(root, SetClock(PHASE1)) as host:
            standing = host.standing()
        assert len(standing.submissions) == LIMIT and not standing.unscored
        shutil.rmtree(root)
    with capsys.disabled():
        sys.stdout.write(f"\n{len(killed)} kills, at {len(set(killed))} kinds of points\n")
    assert KILLS < 50 or set(killed) >= {
        "random moment",
        "before BEGIN IMMEDIATE",
        "before INSERT INTO events",
        "before COMMIT",
        "before replace",
        "after replace",
    }


@pytest.mark.parametrize("kilobytes", [4, 24, 48])
def test_a_full_disk_is_told_and_loses_nothing(driver: Driver, ground: Path, kilobytes: int) -> None:
    root = shutil.copytree(ground / "start", ground / "full")
    outcome = driver.run("with_limit", 1024 * kilobytes, "keep_submitting", str(root))
    assert "StorageError" in outcome.error
    check(root, outcome.reports)
    again = driver.run("keep_submitting", str(root))
    assert not again.error
    check(root, [*outcome.reports, *again.reports])


def watch_but_not_insertions(point: Callable[[str], None]) -> None:
    """As `kill_driver` does, which expects its own pictures to be inserted."""
    insert, remove = CollectionStore.insert, CollectionStore.remove
    watch(point)
    CollectionStore.insert, CollectionStore.remove = insert, remove


if __name__ == "__main__":
    watch, kill_driver._watch = kill_driver._watch, watch_but_not_insertions
    kill_driver._JOBS["keep_submitting"] = keep_submitting
    kill_driver._serve()
