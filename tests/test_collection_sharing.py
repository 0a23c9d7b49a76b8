from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ectype.collection import Collection
from ectype.errors import UsageError
from ectype.testing import ThumbnailModel
from kill_driver import Driver
from stored_pictures import (
    MODEL,
    THIRTY,
    assert_finds,
    assert_holds,
    descriptor,
    picture_item,
)


def test_a_collection_belongs_to_one_thread_until_it_is_closed(filled: Collection) -> None:
    errors: list[Exception] = []

    def use() -> None:
        try:
            len(filled)
        except UsageError as error:
            errors.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert "used by the thread that opened it" in str(errors[0])
    filled.close()
    with pytest.raises(UsageError, match="until it is closed"):
        filled.search(descriptor(0)[None])


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux to tell what is open")
def test_a_closed_collection_lets_go_of_its_files(filled: Collection) -> None:
    def is_open() -> bool:
        return str(filled.folder) in Path("/proc/self/maps").read_text()

    assert_finds(filled, THIRTY)
    assert is_open()
    filled.close()
    assert not is_open()


def test_readers_see_what_was_acknowledged_while_another_process_writes(collection: Collection) -> None:
    wrong: list[object] = []
    acknowledged = 0
    ended = threading.Event()

    def read() -> None:
        with Collection(collection.folder) as reader:
            while not ended.is_set():
                expected = [str(seed) for seed in range(acknowledged)]
                found = reader.search(np.array([descriptor(seed) for seed in range(60)]), 1)
                names = reader.references(found.reference_rows)
                if [names[row].id for row in found.reference_rows.tolist()[: len(expected)]] != expected:
                    wrong.append((expected, found))

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    with Driver() as driver:
        driver.start("keep_adding", str(collection.folder), 0, 60, 3)
        while (line := driver.next_line())[0] != "end":
            if line[0] == "report":
                acknowledged += 3
                assert len(collection) >= acknowledged
                assert collection.problems() == []
    ended.set()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert_holds(collection, {str(seed): seed for seed in range(60)})


def test_several_writers_add_each_image_once(collection: Collection) -> None:
    spans = ((0, 40), (20, 40), (10, 30))
    with Driver() as first, Driver() as second, Driver() as third:
        drivers = (first, second, third)
        for driver, (start, count) in zip(drivers, spans, strict=True):
            driver.start("keep_adding", str(collection.folder), start, count, 5)
        outcomes = [driver.finish() for driver in drivers]
    assert [outcome.error for outcome in outcomes] == ["", "", ""]
    totals = np.sum([report[1:] for outcome in outcomes for report in outcome.reports], axis=0)
    assert totals.tolist() == [60, 50, 0]
    assert collection.problems() == []
    assert_holds(collection, {str(seed): seed for seed in range(60)})
    assert len(list((collection.folder / "index").iterdir())) == 2


@pytest.mark.parametrize("replace", [False, True])
def test_what_another_process_adds_meanwhile_is_not_lost(filled: Collection, replace: bool) -> None:
    class Slow(ThumbnailModel):
        def describe(self, images: Sequence[np.ndarray]) -> np.ndarray:
            with Collection(filled.folder) as other:
                other.add([picture_item("same", 50), picture_item("other", 51)], MODEL)
            return super().describe(images)

    items = [picture_item("same", 50), picture_item("other", 52), picture_item("new", 53)]
    report = filled.add(items, Slow(), replace=replace)
    assert (report.added, report.unchanged, report.replaced) == (1, 1, int(replace))
    assert [(row.id, row.code) for row in report.skipped] == ([] if replace else [("other", "duplicate-id")])
    assert all("has added memory:51 with this id meanwhile" in row.reason for row in report.skipped)
    assert_holds(filled, THIRTY | {"same": 50, "other": 52 if replace else 51, "new": 53})
