"""The search for duplicates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from ectype.collection import Collection
from ectype.collection.folder import DATABASE as COLLECTION_DATABASE
from ectype.descriptors import DescriptorModel
from ectype.descriptors.runtimes import RuntimeName
from ectype.duplicates.comparing import IMAGES_A_TRANSACTION, FindsCopies, by_matching, compare
from ectype.duplicates.holdings import Progress, hold_collection, hold_photographs, list_photographs
from ectype.duplicates.place import Place
from ectype.duplicates.records import DuplicateReport, Holding
from ectype.duplicates.store import Store
from ectype.duplicates.summary import Summary
from ectype.errors import ModelMismatchError
from ectype.images import DEFAULT_LIMITS, ImageLimits
from ectype.types import OnProgress, SkippedImage

MakesFinder = Callable[[Collection, DescriptorModel, ImageLimits], FindsCopies]


@contextmanager
def silent(what: str, total: int) -> Iterator[OnProgress]:
    """`Progress` that shows nothing."""
    yield lambda count: None


def find_duplicates(
    place: Place,
    model: DescriptorModel | None = None,
    *,
    moved: bool = False,
    limits: ImageLimits = DEFAULT_LIMITS,
    progress: Progress = silent,
    finder: MakesFinder = by_matching,
    runtime: RuntimeName = "auto",
) -> DuplicateReport:
    """Find the images of a holding that are copies of each other.

    Images that were compared before are not compared again: new ones are, with all others. A run that was interrupted
    is completed by repeating it. No image file is ever changed.

    Parameters
    ----------
    place : Place
        From `place_of`.
    model : DescriptorModel, optional
        That of the collection by default; for photographs that were never looked at, the bundled one.
    moved : bool
        Whether what is remembered of another place is taken over.
    limits : ImageLimits
    progress : callable, optional
        Given the name of a part of the work and its number of images, makes a context that is called with numbers of
        images as they are finished.
    finder : callable, optional
        Makes a `FindsCopies` of a collection, a model and limits.
    runtime : {"auto", "openvino", "onnxruntime"}
        For the model that is taken by default.

    Raises
    ------
    InvalidDataError
        A folder has no images or can't be read.
    ModelMismatchError
        `model` is not the one that the images were described by.
    CollectionError
        What is remembered belongs to another holding, or is damaged.
    StorageError
        The disk refuses, or another process is at work; everything finished so far is kept.
    """
    photographs = [] if place.is_collection else list_photographs(place.folder)
    with place.alone(), Store(place.database, place.owner(), create=True, take_over=moved) as store:
        with _collection_of(place, model, runtime) as collection:
            model = model or collection.load_model(runtime)
            if place.is_collection:
                holding = hold_collection(collection, store, limits, progress)
            else:
                holding = hold_photographs(photographs, collection, store, model, limits, progress)
            found = finder(collection, model, limits)
            compared, skipped = _compare_new(holding, store, found, progress)
        summary = Summary(holding.images, store.pairs(), store.marks())
        review = summary.review()
        named = {name for pair in review for name in (pair.first_id, pair.second_id)}
        return DuplicateReport(
            len(holding.images),
            compared,
            summary.sets(),
            review,
            summary.contradictions(),
            (*holding.skipped, *skipped),
            {image.id: image.location for image in holding.images if image.id in named},
            place.state,
        )


def _collection_of(place: Place, model: DescriptorModel | None, runtime: RuntimeName) -> Collection:
    there = place.is_collection or (place.collection / COLLECTION_DATABASE).is_file()
    if not there:
        from ectype.descriptors import load_model

        return Collection.create(place.collection, model or load_model(runtime=runtime), keep_features=True)
    collection = Collection(place.collection)
    if model is None:
        return collection
    try:
        collection.check_model(model)
        return collection
    except ModelMismatchError as error:
        collection.close()
        if place.is_collection:
            raise
        raise ModelMismatchError(
            f"{place.collection}: these photographs were described by {collection.meta['model']}, not by {model.name}; "
            "leave the model out to go on with that one, or delete this folder to have all of them compared anew by "
            "the other (decisions are kept elsewhere and stay)"
        ) from error


def _compare_new(
    holding: Holding, store: Store, finder: FindsCopies, progress: Progress
) -> tuple[int, list[SkippedImage]]:
    store.begin(finder.method)
    done = store.compared()
    new = [content for content in holding.queries if content not in done]
    skipped: list[SkippedImage] = []
    if new:
        with progress("comparing", len(new)) as on_progress:
            for start in range(0, len(new), IMAGES_A_TRANSACTION):
                batch = new[start : start + IMAGES_A_TRANSACTION]
                skipped += compare(holding, store, finder, batch)
                on_progress(len(batch))
    ids = {image.location: image.id for image in holding.images}
    return len(new) - len(skipped), [replace(row, id=ids.get(row.location, row.id)) for row in skipped]
