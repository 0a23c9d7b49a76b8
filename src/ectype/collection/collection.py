"""A reference collection: a folder on disk that images are added to, removed from and searched in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ectype.collection.adding import conflict_message, make_rows, refuse_repeated_ids, taken_meanwhile
from ectype.collection.cached_index import CachedIndex
from ectype.collection.folder import DATABASE, INDEX, MODEL, make_folder
from ectype.collection.records import NewImage, Reference
from ectype.collection.store import Store
from ectype.descriptors import DescriptorModel, load_model
from ectype.descriptors.extraction import map_groups
from ectype.descriptors.runtimes import RuntimeName
from ectype.errors import (
    CollectionError,
    DuplicateIdError,
    InvalidDataError,
    ModelError,
    ModelMismatchError,
    StorageError,
    UnreadableImageError,
    UsageError,
)
from ectype.images import DEFAULT_LIMITS, ImageItem, ImageLimits
from ectype.types import Neighbours, OnProgress, SkippedImage, check_vectors
from ectype.verification import Prepared

IMAGES_A_TRANSACTION = 256


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
        try:
            there, is_collection = self.folder.exists(), (self.folder / DATABASE).is_file()
        except OSError as error:
            raise StorageError(f"{folder}: can't be read ({error.strerror}); change the permission") from error
        if not there:
            raise UsageError(
                f"{folder}: there is no such collection; make one with `ectype collection create {folder}`"
            )
        if not is_collection:
            raise CollectionError(
                f"{folder}: not a collection (it has no {DATABASE}); `ectype collection create` makes one"
            )
        self._store = Store(self.folder / DATABASE)
        self._index = CachedIndex(self._store, self.folder / INDEX)

    @classmethod
    def create(
        cls, folder: str | Path, model: DescriptorModel | None = None, *, keep_features: bool = False
    ) -> Collection:
        """Make an empty collection in a new or empty folder.

        Parameters
        ----------
        folder : str or Path
        model : DescriptorModel, optional
            What will describe its images; the bundled one by default. A model that can be stored is copied into the
            folder, so that later versions of Ectype, with other models, still read the collection.
        keep_features : bool
            Whether the local features of its images are kept, so that matches are verified without the images' files:
            about 50 kB an image.

        Raises
        ------
        CollectionError
            The folder is a collection already, or holds other files.
        StorageError
            The disk refuses.
        """
        make_folder(Path(folder), model or load_model(), keep_features=keep_features)
        return cls(folder)

    def close(self) -> None:
        self._index.close()
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
        """What was written at creation: format, model name, fingerprint, dimension, time; features kept or computed."""
        return self._store.meta

    @property
    def keeps_features(self) -> bool:
        """Whether the local features of the images are kept here; they are computed from the files otherwise."""
        return self._store.keeps_features

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
        folder = self.folder / MODEL
        if not folder.is_dir():
            raise ModelError(
                f"{folder}: the collection keeps no model here; give the one it was made with, {self._made_with}"
            )
        model = load_model(folder, runtime=runtime)
        if model.fingerprint != self.fingerprint:
            raise ModelMismatchError(
                f"{folder}: holds {_title(model.name, model.fingerprint)}, but the images were described by "
                f"{self._made_with}; put that model back"
            )
        return model

    def check_model(self, model: DescriptorModel) -> None:
        """Raise `ModelMismatchError` unless `model` made this collection's descriptors."""
        if model.fingerprint != self.fingerprint:
            raise ModelMismatchError(
                f"{self.folder}: its images were described by {self._made_with}, not by "
                f"{_title(model.name, model.fingerprint)}, and scores of two models do not compare; leave the model "
                "out to take the collection's own, or create a new collection"
            )

    @property
    def _made_with(self) -> str:
        return _title(self.meta["model"], self.fingerprint)

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
            Two of the images have one id, or an id is taken by an image with other content; nothing was stored.
        ModelMismatchError
        StorageError
            The disk refuses; all batches before are stored.
        """
        model = model or self.load_model()
        self.check_model(model)
        new, changed, unchanged, skipped = self._sort_out(items, limits)
        if changed and not replace:
            raise DuplicateIdError(conflict_message(self.folder, changed))
        if on_progress is not None and unchanged + len(skipped):
            on_progress(unchanged + len(skipped))
        added = replaced = 0
        wanted = {item.id: item for item in [*new, *(item for item, _ in changed)]}
        results = map_groups(
            list(wanted.values()),
            lambda group: make_rows(group, model, limits, keep_features=self.keeps_features),
            on_progress=on_progress,
        )
        while batch := list(islice(results, IMAGES_A_TRANSACTION)):
            images = [result for result in batch if isinstance(result, NewImage)]
            skipped += [result for result in batch if isinstance(result, SkippedImage)]
            insertion = self._store.insert(images, replace=replace)
            added += insertion.added
            replaced += insertion.replaced
            for image in images:  # what another process has added meanwhile
                owner = insertion.kept.get(image.id)
                if owner is not None and owner.sha256 == image.sha256.hex():
                    unchanged += 1
                elif owner is not None:
                    skipped.append(taken_meanwhile(wanted[image.id], owner))
        self._index.rebuild_if_stale()
        return AddReport(added, unchanged, replaced, tuple(skipped))

    def _sort_out(
        self, items: Sequence[ImageItem], limits: ImageLimits
    ) -> tuple[list[ImageItem], list[tuple[ImageItem, Reference]], int, list[SkippedImage]]:
        """New items, items whose id is taken by other content (with the owner), unchanged ones, unreadable ones."""
        refuse_repeated_ids(items)
        known = self._store.by_id(item.id for item in items)
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
        self._index.rebuild_if_stale()
        return removed

    def references(self, rows: Iterable[int]) -> dict[int, Reference]:
        """The references with these row numbers, by row; unknown ones are left out."""
        return self._store.by_row(rows)

    def vectors(self, rows: Iterable[int]) -> dict[int, NDArray[np.float32]]:
        """The descriptors of the references with these row numbers, float32 (d,), by row; unknown ones are left out.

        They are what a search compares: 16 bits of each number are kept.
        """
        return self._store.vectors(rows)

    def features(self, rows: Iterable[int]) -> dict[int, Prepared]:
        """What verification needs of the references with these row numbers, by row; unknown ones are left out.

        Empty where the collection does not keep it.

        Raises
        ------
        CollectionError
            That of a reference is missing or damaged.
        """
        return self._store.features(rows)

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
        return self._index.up_to_date().search(vectors, limit)

    def rebuild(self) -> None:
        """Write the search index anew from the database."""
        self._index.rebuild()

    def problems(self) -> list[str]:
        """Everything that is wrong with the collection, in sentences; empty if it is sound.

        A missing or outdated index is nothing wrong: it is brought up to date at the next search.
        """
        found = self._store.problems()
        if not found:  # else there is nothing to compare with
            found += self._index.problems()
        if (self.folder / MODEL).exists():
            try:
                self.load_model()
            except InvalidDataError as error:
                found.append(str(error))
        return found


def _title(name: str, fingerprint: str) -> str:
    return f"{name} ({fingerprint[:12]})"
