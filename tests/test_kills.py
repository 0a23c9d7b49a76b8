"""Processes that write are killed, at named points and at random moments; nothing may be lost or be half there.

``ECTYPE_TEST_KILLS`` says how many are killed: 200 by default.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from ectype.collection import Collection
from ectype.descriptors import describe_to_file, write_descriptors
from ectype.errors import CollectionError, UsageError
from ectype.testing import ThumbnailModel
from ectype.types import DescriptorSet
from kill_driver import DESCRIBED, IN_MEMORY, SHARD, Driver, Outcome, create, grow, grow_keeping
from stored_pictures import assert_holds, descriptor

KILLS = int(os.environ.get("ECTYPE_TEST_KILLS", "200"))
CREATING, GROWING = KILLS // 8, KILLS * 3 // 10
DESCRIBING = KILLS - CREATING - 2 * GROWING
RANDOM_MOMENT = "random moment"
WEIGHTS = {"first": b"weights", "second": b"weights"}


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    with Driver() as started:
        yield started


@pytest.fixture
def ground() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ectype-kills-", dir=IN_MEMORY) as folder:
        yield Path(folder)


def killed_runs(
    driver: Driver, job: str, count: int, place: Callable[[int], Path]
) -> Iterator[tuple[str, Path, Outcome]]:
    """Kill a job `count` times, each in a place of its own: at its points in turn, and at random moments between."""
    rng = random.Random(20)
    whole = driver.run(job, str(place(-1)), watch=True)
    assert not whole.error
    points = rng.sample(list(enumerate(whole.points, 1)), len(whole.points))
    first = {name: number for number, name in reversed(points)}
    points.sort(key=lambda point: first[point[1]] != point[0])  # each name once, before any comes again
    kills = 0
    for run in itertools.count():
        if kills == count:
            return
        if kills % 3 < 2 and points:
            number, name = points.pop(0)
            how = {"at_point": number}
        else:
            name, how = RANDOM_MOMENT, {"after": rng.uniform(0.002, whole.seconds)}
        outcome = driver.run(job, str(place(run)), watch=True, **how)
        assert not outcome.error
        if outcome.killed:  # else it had come to its end
            kills += 1
            yield name, place(run), outcome


def states_of(reports: Sequence[Any]) -> list[dict[str, int] | None]:
    """What a collection holds, seeds by id, before each of the changes that were reported and after the last."""
    states: list[dict[str, int] | None] = [None]
    for word, *content in reports:
        state = dict(states[-1] or {})
        if word == "insert":
            state |= content[0]
        elif word == "remove":
            state = {name: seed for name, seed in state.items() if name not in content[0]}
        states.append(state)
    return states


def held(folder: Path) -> dict[str, int] | None:
    """What the collection that a killed process left holds, after checks that it is sound; None if there is none."""
    if not (folder / "collection.sqlite").exists():
        with pytest.raises((UsageError, CollectionError), match=r"no such collection|not a collection"):
            Collection(folder)
        return None
    with Collection(folder) as collection:
        assert collection.problems() == []
        content = {reference.id: reference.metadata["seed"] for reference in collection}
        assert_holds(collection, content)
        return content


def say(capsys: pytest.CaptureFixture[str], killed: Sequence[str]) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\n{len(killed)} kills, at {len(set(killed))} kinds of points\n")


def test_a_creation_that_was_killed_can_be_repeated(
    driver: Driver, ground: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    killed = []
    for name, folder, _ in killed_runs(driver, "create", CREATING, lambda run: ground / f"{run}"):
        if not (folder / "collection.sqlite").exists():
            create(str(folder))
            assert {entry.name for entry in folder.iterdir()} == {"collection.sqlite", "model"}
        with Collection(folder) as collection:
            assert_holds(collection, {})
        assert {entry.name: entry.read_bytes() for entry in (folder / "model").iterdir()} == WEIGHTS
        killed.append(name)
    say(capsys, killed)
    assert len(killed) == CREATING
    assert KILLS < 200 or set(killed) >= {RANDOM_MOMENT, "before CREATE TABLE meta", "before replace", "after replace"}


@pytest.mark.parametrize("job", [grow, grow_keeping])
def test_a_collection_survives_every_kill(
    driver: Driver, ground: Path, capsys: pytest.CaptureFixture[str], job: Callable[[str], None]
) -> None:
    whole = driver.run(job.__name__, str(ground / "whole"), watch=True)
    states = states_of(whole.reports)
    killed = []
    for name, folder, outcome in killed_runs(driver, job.__name__, GROWING, lambda run: ground / f"{run}"):
        acknowledged = len(outcome.reports)
        assert outcome.reports == whole.reports[:acknowledged]
        assert held(folder) in states[acknowledged : acknowledged + 2]
        job(str(folder))
        assert held(folder) == states[-1]
        assert {entry.name for entry in folder.iterdir()} <= {"collection.sqlite", "index", ".unfinished"}
        assert len(list((folder / "index").iterdir())) == 2
        killed.append(name)
    say(capsys, killed)
    assert len(killed) == GROWING
    kept = {"before INSERT INTO features", "before DELETE FROM features"} if job is grow_keeping else set()
    assert KILLS < 200 or set(killed) >= kept | {
        RANDOM_MOMENT,
        "before CREATE TABLE meta",
        "before BEGIN IMMEDIATE",
        "before INSERT INTO images",  # the first of a batch, and others
        "before DELETE FROM images",
        "before INSERT INTO removals",
        "before COMMIT",
        "after insert",  # after the commit, before the acknowledgement
        "after remove",
        "half of save",
        "before replace",
        "after replace",
        "before fsync",
        "before INSERT INTO snapshot",
    }


class CountingModel(ThumbnailModel):
    calls = 0

    def describe(self, images: Sequence[np.ndarray]) -> np.ndarray:
        self.calls += len(images)
        return super().describe(images)


def described(output: Path) -> tuple[list[bytes], bytes]:
    with h5py.File(output) as file:
        return file["image_names"][:].tolist(), file["vectors"][:].tobytes()


def test_a_run_of_describing_goes_on_after_every_kill(
    driver: Driver, ground: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    vectors = np.array([descriptor(item.metadata["seed"]) for item in DESCRIBED])
    expected = [item.id.encode() for item in DESCRIBED], vectors.tobytes()
    older = DescriptorSet(("older",), vectors[:1], "f")

    def place(run: int) -> Path:
        """An output whose folder is there, and every second time an older output."""
        folder = ground / f"{run}"
        if not folder.exists():
            folder.mkdir()
            if run % 2:
                write_descriptors(folder / "o.h5", older)
        return folder / "o.h5"

    killed = []
    for name, output, _ in killed_runs(driver, "describe", DESCRIBING, place):
        if output.exists():
            assert described(output) in (expected, ([b"older"], vectors[:1].tobytes()))
        finished = 0
        for shard in (output.parent / "o.h5.parts").glob("[!.]*.npz"):
            with np.load(shard) as content:
                finished += len(json.loads(content["report"].tobytes())["ids"])
        again = CountingModel()
        assert describe_to_file(DESCRIBED, again, output, shard_size=SHARD) == []
        assert again.calls == len(DESCRIBED) - finished
        assert described(output) == expected
        assert [entry.name for entry in output.parent.iterdir()] == ["o.h5"]
        killed.append(name)
    say(capsys, killed)
    assert len(killed) == DESCRIBING
    assert KILLS < 200 or set(killed) >= {
        RANDOM_MOMENT,
        "half of savez",
        "before a block of the merge",
        "after a block of the merge",
        "before replace",
        "after replace",
        "before unlink",
    }
