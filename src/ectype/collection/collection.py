"""A reference collection: a folder on disk that images are added to, removed from and searched in."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ectype.collection.schema import FORMAT, create_database
from ectype.collection.snapshot import read_snapshot, write_snapshot
from ectype.collection.store import NewImage, Reference, Store
from ectype.descriptors import DescribedImage, DescriptorModel, StorableModel, describe_items, load_model
from ectype.descriptors.extraction import OnProgress
from ectype.descriptors.runtimes import RuntimeName
from ectype.errors import CollectionError, DuplicateIdError, ModelMismatchError, UnreadableImageError, UsageError
from ectype.images import DEFAULT_LIMITS, ImageItem, ImageLimits
from ectype.indexes import FaissIndex
from ectype.storage import storage_error
from ectype.types import Neighbours, SkippedImage, check_vectors

DATABASE, MODEL, INDEX = "collection.sqlite", "model", "index"
IMAGES_A_TRANSACTION = 256
_STALE_ROWS, _STALE_SHARE = 1000, 0.1


@dataclass(frozen=True, slots=True)
class AddReport:
    """What `Collection.add` did.

    Attributes
    ----------
    added, unchanged, replaced : int
        Images stored, images that were there already with the same bytes, images whose content was exchanged.
    skipped : tuple of SkippedImage
    """

    added: int
    unchanged: int
    replaced: int
    skipped: tuple[SkippedImage, ...]


class Collection:
    """Reference images by id, with descriptors of one model.

    SQLite holds the truth; the search index is a cache beside it. Any number of processes may read while one writes,
    and a process that is killed leaves the collection as it was before or after its last batch of images.

    Parameters
    ----------
    folder : str or Path
        Made by `Collection.create`.

    Raises
    ------
    CollectionError
        The folder is no collection, or a damaged one.
    StorageError
        The disk refuses.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if not self.folder.exists():
            raise UsageError(
                f"{folder}: there is no such collection; make one with `ectype collection create {folder}`"
            )
        if not (self.folder / DATABASE).is_file():
            raise CollectionError(
                f"{folder}: not a collection (it has no {DATABASE}); `ectype collection create` makes one"
            )
        self._store = Store(self.folder / DATABASE)
        self._index: FaissIndex | None = None
        self._index_generation = 0
        self._snapshot_generation = 0

    @classmethod
    def create(cls, folder: str | Path, model: DescriptorModel | None = None) -> Collection:
        """Make an empty collection in a new or empty folder.

        Parameters
        ----------
        folder : str or Path
        model : DescriptorModel, optional
            What will describe its images; the bundled one by default. A model that can be stored is copied into the
            folder, so that later versions of Ectype, with other models, still read the collection.

        Raises
        ------
        CollectionError
            The folder is a collection already, or holds other files.
        StorageError
            The disk refuses.
        """
        folder = Path(folder)
        model = model or load_model()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            names = {entry.name for entry in folder.iterdir()}
            if DATABASE in names:
                raise CollectionError(f"{folder}: is a collection already; add to it, or choose another folder")
            if names - {MODEL, f".{DATABASE}.new"}:  # left by a creation that was cut short
                raise CollectionError(f"{folder}: holds other files; a collection needs a folder of its own")
            if isinstance(model, StorableModel):
                (folder / MODEL).mkdir(exist_ok=True)
                model.save(folder / MODEL)
            unfinished = folder / f".{DATABASE}.new"
            unfinished.unlink(missing_ok=True)
            meta = {
                "format": FORMAT,
                "generation": "0",
                "fingerprint": model.fingerprint,
                "dimension": str(model.dimension),
                "model": model.name,
                "created": datetime.now(UTC).isoformat(timespec="seconds"),
            }
            create_database(unfinished, meta)
            os.replace(unfinished, folder / DATABASE)
        except OSError as error:
            raise storage_error(folder, error) from error
        return cls(folder)

    def close(self) -> None:
        self._store.close()

    def __enter__(self) -> Collection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._store)

    def __iter__(self) -> Iterator[Reference]:
        """All references, in the order they were added."""
        return iter(self._store)

    @property
    def meta(self) -> Mapping[str, str]:
        """What was written at creation: format, model name, fingerprint, dimension, time."""
        return self._store.meta

    @property
    def generation(self) -> int:
        """Grows by one with every change of the images."""
        return self._store.generation()

    @property
    def fingerprint(self) -> str:
        """Of the model that made the descriptors."""
        return self.meta["fingerprint"]

    def load_model(self, runtime: RuntimeName = "auto") -> DescriptorModel:
        """The model of this collection, from its own folder.

        Raises
        ------
        ModelError
            It is missing or damaged.
        ModelMismatchError
            It is another one than the collection was made with.
        """
        model = load_model(self.folder / MODEL, runtime=runtime)
        self.check_model(model)
        return model

    def check_model(self, model: DescriptorModel) -> None:
        """Raise `ModelMismatchError` unless `model` made this collection's descriptors."""
        if model.fingerprint != self.fingerprint:
            raise ModelMismatchError(
                f"{self.folder}: its images were described by {self.meta['model']} ({self.fingerprint[:12]}), not by "
                f"{model.name} ({model.fingerprint[:12]}), and scores of two models do not compare; leave the model "
                "out to take the collection's own, or create a new collection"
            )

    def add(
        self,
        items: Sequence[ImageItem],
        model: DescriptorModel | None = None,
        *,
        replace: bool = False,
        limits: ImageLimits = DEFAULT_LIMITS,
        on_progress: OnProgress | None = None,
    ) -> AddReport:
        """Describe images and store them, a transaction every 256.

        Adding again what is there does nothing, so an interrupted run is completed by repeating it.

        Parameters
        ----------
        items : sequence of ImageItem
            From `ectype.list_images`.
        model : DescriptorModel, optional
            The collection's own by default.
        replace : bool
            Whether an image takes the place of an image with its id and other content.
        limits : ImageLimits
        on_progress : callable, optional
            Called with the number of images finished since the last call.

        Raises
        ------
        DuplicateIdError
            An id is taken by an image with other content; nothing was stored.
        ModelMismatchError
        StorageError
            The disk refuses; all batches before are stored.
        """
        model = model or self.load_model()
        self.check_model(model)
        new, changed, unchanged, skipped = self._sort_out(items, limits)
        if changed and not replace:
            raise DuplicateIdError(_conflict_message(self.folder, changed))
        if on_progress is not None and unchanged + len(skipped):
            on_progress(unchanged + len(skipped))
        stored = 0
        results = describe_items(new + [item for item, _ in changed], model, limits=limits, on_progress=on_progress)
        while batch := list(islice(results, IMAGES_A_TRANSACTION)):
            described = [result for result in batch if isinstance(result, DescribedImage)]
            skipped += [result for result in batch if isinstance(result, SkippedImage)]
            refused = self._store.insert([_to_new_image(image) for image in described], replace=replace)
            skipped += [_taken_meanwhile(image, refused) for image in described if image.item.id in refused]
            stored += len(described) - len(refused)
        self._save_index_if_stale()
        lost = {row.id for row in skipped}
        replaced = sum(item.id not in lost for item, _ in changed)
        return AddReport(stored - replaced, unchanged, replaced, tuple(skipped))

    def _sort_out(
        self, items: Sequence[ImageItem], limits: ImageLimits
    ) -> tuple[list[ImageItem], list[tuple[ImageItem, Reference]], int, list[SkippedImage]]:
        """New items, items whose id is taken by other content (with the owner), unchanged ones, unreadable ones."""
        known = self._store.by_id([item.id for item in items])
        new, changed, skipped, unchanged = [], [], [], 0
        for item in items:
            if item.id not in known:
                new.append(item)
                continue
            try:
                digest = hashlib.sha256(item.read(limits)).hexdigest()
            except UnreadableImageError as error:
                skipped.append(SkippedImage(item.id, item.location, error.code, str(error)))
                continue
            if digest == known[item.id].sha256:
                unchanged += 1
            else:
                changed.append((item, known[item.id]))
        return new, changed, unchanged, skipped

    def remove(self, ids: Iterable[str]) -> list[str]:
        """Remove images by id, in one transaction.

        Returns
        -------
        list of str
            The ids that were there. Unknown ones are passed over.
        """
        removed = self._store.remove(ids)
        self._save_index_if_stale()
        return removed

    def references(self, rows: Iterable[int]) -> dict[int, Reference]:
        """The references with these row numbers, by row; unknown ones are left out."""
        return self._store.by_row(rows)

    def search(self, vectors: NDArray[np.float32], limit: int = 10) -> Neighbours:
        """Find the closest references of descriptors, in the collection as it is now.

        Parameters
        ----------
        vectors : ndarray of float32, shape (n, d)
            Unit rows, from the collection's model.
        limit : int
            References a query.

        Returns
        -------
        Neighbours
            Ordered by query row, then score from high to low; `references` names the rows.
        """
        check_vectors(vectors, self._store.dimension)
        return self._up_to_date_index().search(vectors, limit)

    def _up_to_date_index(self) -> FaissIndex:
        if self._index is None:
            self._index = FaissIndex(self._store.dimension)
            snapshot = read_snapshot(self.folder / INDEX, self.fingerprint, self._store.dimension)
            if snapshot is not None and snapshot.generation <= self._store.generation():
                self._index.add(snapshot.rows, snapshot.vectors)
                self._index_generation = self._snapshot_generation = snapshot.generation
        if self._index_generation != self._store.generation():
            changes = self._store.changes_since(self._index_generation)
            self._index.remove(changes.removed)
            self._index.add(changes.added, changes.vectors)
            self._index_generation = changes.generation
        return self._index

    def rebuild(self) -> None:
        """Write the search index anew from the database."""
        self._index = None
        changes = self._store.changes_since(0)
        try:
            write_snapshot(self.folder / INDEX, self.fingerprint, changes.generation, changes.added, changes.vectors)
        except OSError as error:
            raise storage_error(self.folder / INDEX, error) from error

    def _save_index_if_stale(self) -> None:
        snapshot = read_snapshot(self.folder / INDEX, self.fingerprint, self._store.dimension)
        indexed = len(snapshot.rows) if snapshot is not None else 0
        behind = self._store.count_since(snapshot.generation if snapshot is not None else 0)
        if behind > max(_STALE_ROWS, _STALE_SHARE * indexed):
            self.rebuild()

    def problems(self) -> list[str]:
        """Everything that is wrong with the collection, in sentences; empty if it is sound.

        A missing or outdated index is nothing wrong: it is brought up to date at the next search.
        """
        found = self._store.problems()
        snapshot = read_snapshot(self.folder / INDEX, self.fingerprint, self._store.dimension)
        if snapshot is not None and not snapshot.is_intact():
            found.append("the search index is damaged; `ectype collection rebuild` writes it anew")
        elif snapshot is not None and not found:
            found += self._index_problems()
        return found

    def _index_problems(self) -> list[str]:
        self._index = None
        truth = self._store.changes_since(0)
        rows, vectors = self._up_to_date_index().content()
        order = np.argsort(rows)
        if np.array_equal(rows[order], truth.added) and np.array_equal(vectors[order], truth.vectors):
            return []
        return ["the search index differs from the database; `ectype collection rebuild` writes it anew"]


def _to_new_image(image: DescribedImage) -> NewImage:
    metadata = dict(image.item.metadata)
    location = str(metadata.pop("url", os.path.abspath(image.item.location)))
    return NewImage(image.item.id, image.sha256, location, metadata, image.vector)


def _taken_meanwhile(image: DescribedImage, refused: Mapping[str, Reference]) -> SkippedImage:
    owner = refused[image.item.id]
    reason = f"another process has added {owner.location} with this id meanwhile"
    return SkippedImage(image.item.id, image.item.location, "duplicate-id", reason)


def _conflict_message(folder: Path, changed: Sequence[tuple[ImageItem, Reference]]) -> str:
    shown = [f"  {item.id!r}: {item.location} and, in the collection, {owner.location}" for item, owner in changed[:10]]
    if len(changed) > 10:
        shown.append(f"  and {len(changed) - 10} more")
    return (
        f"{folder}: nothing was added, since {len(changed)} ids are taken by images with other content:\n"
        + "\n".join(shown)
        + "\nrename the files, give ids in a list, or exchange the stored images with --replace"
    )
