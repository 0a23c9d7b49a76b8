"""Publishing, fetching, sealing and opening are killed, at named points and anywhere; repeating them completes them.

Run as a script, this is the server of `kill_driver`, with jobs of its own.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from unittest import mock

import pytest

import kill_driver
from ectype.challenge.manifest import ManifestEntry, read_manifest
from ectype.challenge.releases import (
    Contents,
    FetchOptions,
    fetch,
    open_place,
    plan_release,
    plan_seal,
    publish,
    read_key,
    read_release,
    seal,
    unseal,
    unsealing,
)
from ectype.challenge.releases import places as places_module
from ectype.challenge.releases.listing import LISTING
from ectype.challenge.releases.shards import split_into_shards
from ectype.challenge.releases.stream import CHUNK
from kill_driver import IN_MEMORY, Driver
from release_places import SHARD, files_in, make_data_set, public_files, publish_to

KILLS = int(os.environ.get("ECTYPE_TEST_KILLS", "200")) // 8
DELIVERY = 300_000
_at_a_block: Callable[[str], None] = lambda name: None  # noqa: E731


def progress(count: int) -> None:
    _at_a_block("a block")


def publish_job(root: str) -> None:
    with small_blocks(), open_place(f"{root}/place") as place:
        report = publish(plan_release(f"{root}/data", None, SHARD), place, workers=2, on_progress=progress)
    kill_driver._report("done", report.sent)


def fetch_job(root: str) -> None:
    with small_blocks(), open_place(f"{root}/place") as place:
        report = fetch(place, read_release(place), f"{root}/out", FetchOptions(workers=2), progress)
    kill_driver._report("done", report.fetched)


def seal_job(root: str) -> None:
    plan = plan_seal(f"{root}/data", Contents(roles=("query",)))
    seal(plan, f"{root}/sealed", f"{root}/key", piece_size=CHUNK, on_progress=progress)
    kill_driver._report("done")


def unseal_job(root: str) -> None:
    with mock.patch.object(unsealing, "DELIVERY_BYTES", DELIVERY):
        report = unseal(f"{root}/sealed", read_key(f"{root}/key"), f"{root}/out", workers=2, on_progress=progress)
    kill_driver._report("done", report.written)


def small_blocks() -> mock._patch[int]:
    return mock.patch.object(places_module, "BLOCK", 4096)


class ReleasesDriver(Driver):
    def __enter__(self) -> ReleasesDriver:
        self._process = subprocess.Popen([sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        return self

    def killed_somewhere(self, job: str, start: Callable[[Path], None]) -> Iterator[Path]:
        """Grounds on which a job was killed, each at another point."""
        with tempfile.TemporaryDirectory(prefix="ectype-kills-", dir=IN_MEMORY) as ground:
            start(whole := Path(ground, "whole"))
            outcome = self.run(job, str(whole), watch=True)
            assert not outcome.error
            points = list(enumerate(outcome.points, 1))
            kinds = {name: number for number, name in points}  # each once, before any comes again
            others = (number for number, _ in random.Random(7).sample(points, len(points)))
            numbers = list(dict.fromkeys((*kinds.values(), *others)))
            killed = 0
            for number in numbers[:KILLS]:
                start(root := Path(ground, f"{number}"))
                outcome = self.run(job, str(root), watch=True, at_point=number)
                assert not outcome.error
                if outcome.killed:  # with several threads there may be fewer points than before
                    killed += 1
                    yield root
            assert killed > min(KILLS, len(numbers)) // 2


@pytest.fixture(scope="module")
def driver() -> Iterator[ReleasesDriver]:
    with ReleasesDriver() as started:
        yield started


def completed(driver: Driver, job: str, root: Path) -> int:
    outcome = driver.run(job, str(root))
    assert not outcome.error
    return outcome.reports[0][1]


def test_a_publication_that_was_killed_is_completed_by_repeating_it(driver: ReleasesDriver, tmp_path: Path) -> None:
    expected = publish_to(tmp_path / "place", make_data_set(tmp_path / "data"))
    for root in driver.killed_somewhere("publish", lambda root: make_data_set(root / "data") and None):
        there = files_in(root / "place")
        right = {name: content for name, content in there.items() if not name.startswith(".")}
        assert right.items() <= files_in(tmp_path / "place").items()
        assert LISTING not in right or len(right) == len(expected.files) + 1
        sent = completed(driver, "publish", root)
        assert sent == len(expected.files) - len(right.keys() - {LISTING})
        assert files_in(root / "place") == files_in(tmp_path / "place")


def test_a_fetch_that_was_killed_is_completed_by_repeating_it(driver: ReleasesDriver) -> None:
    def start(root: Path) -> None:
        publish_to(root / "place", make_data_set(root / "data"))

    for root in driver.killed_somewhere("fetch", start):
        data, standing = public_files(root / "data"), standing_in(root / "out")
        assert standing.items() <= data.items()
        assert "manifest.csv" not in standing or standing == data
        fetched = completed(driver, "fetch", root)
        assert fetched == len(unfinished(root, standing, SHARD)) + ("manifest.csv" not in standing)
        assert files_in(root / "out") == data


def test_an_opening_that_was_killed_is_completed_by_repeating_it(driver: ReleasesDriver, tmp_path: Path) -> None:
    data = make_data_set(tmp_path / "data", largest=900_000, query=12)
    seal_job_of(tmp_path)

    def start(root: Path) -> None:
        root.mkdir()
        for name in ("sealed", "key"):
            (root / name).symlink_to(tmp_path / name)

    for root in driver.killed_somewhere("unseal", start):
        standing = standing_in(root / "out")
        assert standing.items() <= public_files(data).items()
        assert "manifest.csv" not in standing or standing == public_files(data)
        written = completed(driver, "unseal", root)
        assert written == sum(map(len, unfinished(tmp_path, standing, DELIVERY)))
        assert files_in(root / "out") == public_files(data)


def test_a_seal_that_was_killed_leaves_nothing_that_looks_like_one(driver: ReleasesDriver, tmp_path: Path) -> None:
    def start(root: Path) -> None:
        make_data_set(root / "data", largest=900_000, query=8)

    for root in driver.killed_somewhere("seal", start):
        if (root / "sealed").exists():
            assert (root / "sealed" / LISTING).exists() and read_key(root / "key")
            continue
        outcome = driver.run("seal", str(root))
        if (root / "sealed").exists():
            assert not outcome.error
        else:  # killed between the key and the release: the key is not overwritten
            assert "a secret is never overwritten" in outcome.error and read_key(root / "key")
            (root / "key").unlink()
            assert not driver.run("seal", str(root)).error
        unseal(root / "sealed", read_key(root / "key"), root / "out")
        assert files_in(root / "out") == public_files(root / "data")


def seal_job_of(root: Path) -> None:
    seal(plan_seal(root / "data", Contents(roles=("query",))), root / "sealed", root / "key", piece_size=CHUNK)


def standing_in(folder: Path) -> dict[str, bytes]:
    return {path: content for path, content in files_in(folder).items() if not path.startswith(".incoming")}


def unfinished(root: Path, standing: Mapping[str, bytes], size: int) -> list[tuple[ManifestEntry, ...]]:
    """Groups of images that were not there as a whole."""
    entries = read_manifest(root / "data" / "manifest.csv").entries
    groups = [
        group
        for role in ("reference", "query", "training")
        for group in split_into_shards([entry for entry in entries if entry.role == role], size)
    ]
    return [group for group in groups if not {entry.path for entry in group} <= standing.keys()]


def watch(point: Callable[[str], None]) -> None:
    global _at_a_block
    _watch_the_disk(point)
    _at_a_block = point


if __name__ == "__main__":
    _watch_the_disk, kill_driver._watch = kill_driver._watch, watch
    for job in (publish_job, fetch_job, seal_job, unseal_job):
        kill_driver._JOBS[job.__name__.removesuffix("_job")] = job
    kill_driver._serve()
