"""The search index of a store, in memory and on disk."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ectype.collection.snapshot import delete_all_but, has_snapshot, read_snapshot, write_snapshot
from ectype.collection.store import Store
from ectype.indexes import FaissIndex

_STALE_ROWS, _STALE_SHARE = 1000, 0.1
_ADVICE = "`ectype collection rebuild` writes it anew"


class CachedIndex:
    """An index that is brought up to date from the store before each search.

    Parameters
    ----------
    store : Store
    folder : Path
        For the index on disk; need not exist.
    """

    def __init__(self, store: Store, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._opened: tuple[FaissIndex, int] | None = None  # and its generation

    def close(self) -> None:
        """Let go of the files."""
        self._opened = None

    def up_to_date(self) -> FaissIndex:
        """The index of the images that the store holds now."""
        index, generation = self._opened or self._open()
        self._opened = None  # so that an index on which the work below was broken off is not used again
        if generation != self._store.generation():
            changes = self._store.changes_since(generation)
            index.remove(changes.removed)
            index.add(changes.added, changes.vectors)
            generation = changes.generation
        self._opened = index, generation
        return index

    def _open(self) -> tuple[FaissIndex, int]:
        index = FaissIndex(self._store.dimension)
        stamp = self._store.stamp()
        snapshot = read_snapshot(self._folder, stamp, self._store.dimension) if stamp is not None else None
        if stamp is None or snapshot is None:
            return index, 0
        index.add(snapshot.rows, snapshot.vectors)
        return index, stamp.generation

    def rebuild(self) -> None:
        """Write the index on disk anew.

        Raises
        ------
        StorageError
            The disk refuses.
        """
        self._opened = None
        with self._store.transaction():  # so that no other process writes these files meanwhile
            changes = self._store.changes_since(0)
            stamp = write_snapshot(self._folder, changes.generation, changes.added, changes.vectors)
            delete_all_but(self._folder, stamp)
            self._store.set_stamp(stamp)

    def rebuild_if_stale(self) -> None:
        """Write the index on disk anew if a new process would have much to catch up on."""
        stamp = self._store.stamp()
        found = stamp is not None and has_snapshot(self._folder, stamp)
        generation, images = (stamp.generation, stamp.images) if stamp is not None and found else (0, 0)
        if self._store.count_since(generation) > max(_STALE_ROWS, _STALE_SHARE * images):
            self.rebuild()

    def problems(self) -> list[str]:
        """What is wrong with the index on disk, in sentences. One that is missing or outdated is nothing wrong."""
        with self._store.transaction("DEFERRED"):  # one view of the store, whoever writes meanwhile
            stamp = self._store.stamp()
            if stamp is None:
                return []
            if read_snapshot(self._folder, stamp, self._store.dimension) is None:
                damaged = has_snapshot(self._folder, stamp)
                return [f"the search index is damaged; {_ADVICE}"] if damaged else []
            self._opened = None
            rows, vectors = self.up_to_date().content()
            truth = self._store.changes_since(0)
        order, expected = np.argsort(rows), np.argsort(truth.added)
        same_rows = np.array_equal(rows[order], truth.added[expected])
        if same_rows and np.array_equal(vectors[order], truth.vectors[expected]):
            return []
        return [f"the search index differs from the database; {_ADVICE}"]
