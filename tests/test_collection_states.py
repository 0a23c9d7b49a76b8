"""A collection goes through whatever its callers do to it, side by side with a dictionary."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ectype.collection import Collection
from ectype.errors import DuplicateIdError
from kill_driver import IN_MEMORY
from stored_pictures import MODEL, assert_finds, assert_holds, picture_item, small_batches

ids = st.sampled_from("abcdefghijkl")
pictures = st.dictionaries(ids, st.integers(0, 3), min_size=1, max_size=9)


class CollectionStates(RuleBasedStateMachine):
    keep_features = False

    def __init__(self) -> None:
        super().__init__()
        self.patches = small_batches()
        self.patches.__enter__()
        self.folder = Path(tempfile.mkdtemp(prefix="ectype-states-", dir=IN_MEMORY))
        self.collection = Collection.create(self.folder / "c", MODEL, keep_features=self.keep_features)
        self.reader = Collection(self.folder / "c")
        self.expected: dict[str, int] = {}
        self.rows: dict[str, int] = {}
        self.newest_row = 0
        self.generation = 0

    def teardown(self) -> None:
        self.collection.close()
        self.reader.close()
        self.patches.__exit__(None, None, None)
        shutil.rmtree(self.folder)

    @rule(pictures=pictures, replace=st.booleans())
    def add(self, pictures: dict[str, int], replace: bool) -> None:
        items = [picture_item(name, seed) for name, seed in pictures.items()]
        new = pictures.keys() - self.expected.keys()
        changed = {name for name in pictures.keys() - new if self.expected[name] != pictures[name]}
        if changed and not replace:
            with pytest.raises(DuplicateIdError) as error:
                self.collection.add(items, MODEL)
            assert all(repr(name) in str(error.value) for name in changed)
            return
        report = self.collection.add(items, MODEL, replace=replace)
        assert (report.added, report.replaced) == (len(new), len(changed))
        assert (report.unchanged, report.skipped) == (len(pictures) - len(new) - len(changed), ())
        self.expected |= pictures

    @rule()
    def add_all_again(self) -> None:
        before = self.collection.generation
        items = [picture_item(name, seed) for name, seed in self.expected.items()]
        assert self.collection.add(items, MODEL).unchanged == len(items)
        assert self.collection.generation == before

    @rule(names=st.sets(ids, max_size=8))
    def remove(self, names: set[str]) -> None:
        assert set(self.collection.remove(names)) == names & self.expected.keys()
        self.expected = {name: seed for name, seed in self.expected.items() if name not in names}

    @rule()
    def reopen(self) -> None:
        self.collection.close()
        self.collection = Collection(self.folder / "c")

    @rule()
    def rebuild(self) -> None:
        self.collection.rebuild()

    @rule()
    def delete_the_index_on_disk(self) -> None:
        shutil.rmtree(self.folder / "c" / "index", ignore_errors=True)

    @rule()
    def set_the_index_on_disk_aside(self) -> None:
        if (self.folder / "c" / "index").exists():
            shutil.copytree(self.folder / "c" / "index", self.folder / "aside", dirs_exist_ok=True)

    @rule()
    def put_older_files_of_the_index_back(self) -> None:
        if (self.folder / "aside").exists():
            shutil.copytree(self.folder / "aside", self.folder / "c" / "index", dirs_exist_ok=True)

    @rule()
    def search_in_a_reader_that_stays_open(self) -> None:
        assert_finds(self.reader, self.expected)

    @rule()
    def search_in_a_new_reader(self) -> None:
        with Collection(self.folder / "c") as reader:
            assert_finds(reader, self.expected)

    @invariant()
    def it_holds_and_finds_what_it_should(self) -> None:
        assert self.collection.problems() == []
        assert_holds(self.collection, self.expected)

    @invariant()
    def numbers_only_grow(self) -> None:
        assert self.collection.generation >= self.generation
        self.generation = self.collection.generation
        rows = {reference.id: reference.row for reference in self.collection}
        for name, row in rows.items():
            assert row == self.rows.get(name) or row > self.newest_row
        self.rows, self.newest_row = rows, max([self.newest_row, *rows.values()])


class KeepingStates(CollectionStates):
    keep_features = True


TestCollectionStates = CollectionStates.TestCase
TestCollectionStates.settings = settings(max_examples=80, stateful_step_count=25, deadline=None)
TestKeepingStates = KeepingStates.TestCase
TestKeepingStates.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
