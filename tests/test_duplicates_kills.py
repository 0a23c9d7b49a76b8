"""A search for duplicates is killed, at named points and at random moments; repeating it completes it.

Run as a script, this is the server of `kill_driver`, with jobs of its own.
"""

from __future__ import annotations

import itertools
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest

import kill_driver
from ectype.collection import Collection
from ectype.collection.store import Store as CollectionStore
from ectype.duplicates import find, find_duplicates, holdings, mark_images, marked_pairs, place_of
from ectype.duplicates.store import Store
from kill_driver import IN_MEMORY, Driver
from stored_pictures import MODEL, small_batches
from test_duplicates import FakeFinder, sets_of, write

KILLS = int(os.environ.get("ECTYPE_TEST_KILLS", "200")) // 4
FAMILIES, VARIANTS = 5, 3
FILES = {f"{family}-{variant}.png": (family, variant) for family in range(FAMILIES) for variant in range(VARIANTS)}
LATER = {"late.png": (0, 0), "stranger.png": (77, 0)}
GONE = ("1-0.png", "1-1.png", "2-0.png")


class ReportingFinder(FakeFinder):
    """Tells the test what it compares."""

    def copies_of(self, items):
        kill_driver._report("compared", [item.id for item in items])
        return super().copies_of(items)


def search(root: str) -> None:
    """Look for duplicates, decide on some, and look again after the folder has changed."""
    photos, state = Path(root, "photos"), Path(root, "state")
    FakeFinder.queries = []
    with (
        small_batches(),
        mock.patch.object(holdings, "IMAGES_A_TRANSACTION", 4),
        mock.patch.object(find, "IMAGES_A_TRANSACTION", 4),
    ):
        if not Path(root, "changed").exists():
            find_duplicates(place_of(photos, state), MODEL, finder=ReportingFinder)
            mark_images(place_of(photos, state), ["3-0.png", "3-1.png", "3-2.png"], "different")
            kill_driver._report("marked")
            for name in GONE:
                (photos / name).unlink(missing_ok=True)
            write(photos, LATER)
            Path(root, "changed").touch()
        find_duplicates(place_of(photos, state), MODEL, finder=ReportingFinder)


class SearchDriver(Driver):
    def __enter__(self) -> SearchDriver:
        self._process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    with SearchDriver() as started:
        yield started


def started(root: Path) -> Path:
    write(root / "photos", FILES)
    return root


SETS = {
    frozenset({"0-0.png", "0-1.png", "0-2.png", "late.png"}),
    frozenset({"2-1.png", "2-2.png"}),
    frozenset({"4-0.png", "4-1.png", "4-2.png"}),
}


def compared_in(root: Path) -> set[str]:
    """Contents whose comparison is stored; the database must be sound, whenever the process was killed."""
    place = place_of(root / "photos", root / "state")
    if not place.database.exists():
        return set()
    with Store(place.database, place.owner(), create=True) as store:
        assert store._connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        done, pairs = store.compared(), store.pairs()
        assert all({pair.first, pair.second} & done for pair in pairs)
        assert len(store.marks()) in (0, 3)
        return done


def test_a_search_that_was_killed_is_completed_by_repeating_it(
    driver: Driver, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(7)
    with tempfile.TemporaryDirectory(prefix="ectype-kills-", dir=IN_MEMORY) as ground:
        whole = driver.run("search", str(started(Path(ground, "whole"))), watch=True)
        assert not whole.error
        points = rng.sample(list(enumerate(whole.points, 1)), len(whole.points))
        kinds = {name: number for number, name in points}
        # Each kind once, before any comes again.
        points = [*kinds.items(), *((name, number) for number, name in points)]
        killed: list[str] = []
        for run in itertools.count():
            if len(killed) == KILLS:
                break
            root = started(Path(ground, f"{run}"))
            if run < len(kinds) or run % 2:
                name, number = points.pop(0)
                outcome = driver.run("search", str(root), watch=True, at_point=number)
            else:
                name = "random moment"
                outcome = driver.run("search", str(root), watch=True, after=rng.uniform(0.002, whole.seconds))
            assert not outcome.error
            if not outcome.killed:  # it had come to its end
                continue
            killed.append(name)
            done = compared_in(root)
            again = driver.run("search", str(root))
            assert not again.error
            assert not done & {content for word, *some in again.reports if word == "compared" for content in some[0]}
            assert sets_of(find_duplicates(place_of(root / "photos", root / "state"), MODEL, finder=FakeFinder)) == SETS
            assert len(marked_pairs(place_of(root / "photos", root / "state"))) == 3
            with Collection(root / "state" / "collection") as collection:
                assert collection.problems() == []
    with capsys.disabled():
        sys.stdout.write(f"\n{len(killed)} kills, at {len(set(killed))} kinds of points\n")
    assert KILLS < 50 or set(killed) >= {
        "random moment",
        "before CREATE TABLE meta",
        "before INSERT OR REPLACE",
        "before INSERT INTO pairs",
        "before INSERT OR IGNORE",
        "before INSERT INTO marks",
        "before DELETE FROM compared",
        "before DELETE FROM pairs",
        "before COMMIT",
    }


@pytest.mark.parametrize("kilobytes", [4, 20, 60, 100])
def test_a_search_on_a_full_disk_says_so_and_is_completed_later(driver: Driver, tmp_path: Path, kilobytes: int) -> None:
    root = started(tmp_path)
    outcome = driver.run("with_limit", 1024 * kilobytes, "search", str(root))
    assert "StorageError" in outcome.error
    compared_in(root)
    assert not driver.run("search", str(root)).error
    assert sets_of(find_duplicates(place_of(root / "photos", root / "state"), MODEL, finder=FakeFinder)) == SETS
    assert len(marked_pairs(place_of(root / "photos", root / "state"))) == 3


def watch_but_not_insertions(point: Callable[[str], None]) -> None:
    """As `kill_driver` does, which expects its own pictures to be inserted."""
    insert, remove = CollectionStore.insert, CollectionStore.remove
    watch(point)
    CollectionStore.insert, CollectionStore.remove = insert, remove


if __name__ == "__main__":
    watch, kill_driver._watch = kill_driver._watch, watch_but_not_insertions
    kill_driver._JOBS["search"] = search
    kill_driver._serve()
