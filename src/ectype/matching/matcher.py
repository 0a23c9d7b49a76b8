"""From query images to the references they may have been copied from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ectype.collection import Collection, Reference
from ectype.descriptors import DescribedImage, DescriptorModel, describe_items
from ectype.descriptors.extraction import OnProgress
from ectype.errors import ModelMismatchError, UsageError
from ectype.images import DEFAULT_LIMITS, ImageItem, ImageLimits
from ectype.matching.selection import MOST_PAIRS, PAIRS_A_QUERY, default_total, select_best
from ectype.types import DescriptorSet, Match, Neighbours, SkippedImage

_QUERIES_A_SEARCH = 16384


@dataclass(frozen=True, slots=True, eq=False)
class MatchReport:
    """What was found for some queries.

    Attributes
    ----------
    matches : tuple of Match
        From the highest score to the lowest.
    queries : mapping of str to ImageItem
        The queries that were searched for, by id.
    references : mapping of str to Reference
        The references in `matches`, by id.
    skipped : tuple of SkippedImage
        Queries that could not be read.
    """

    matches: tuple[Match, ...]
    queries: dict[str, ImageItem]
    references: dict[str, Reference]
    skipped: tuple[SkippedImage, ...]


def match_images(
    collection: Collection,
    items: Sequence[ImageItem],
    model: DescriptorModel | None = None,
    *,
    limit: int = PAIRS_A_QUERY,
    total: int | None = None,
    limits: ImageLimits = DEFAULT_LIMITS,
    on_progress: OnProgress | None = None,
) -> MatchReport:
    """Find the references that queries may have been copied from.

    The score of a pair depends on its two images and the model alone.

    Parameters
    ----------
    collection : Collection
    items : sequence of ImageItem
        The queries; from `ectype.list_images`.
    model : DescriptorModel, optional
        The collection's own by default.
    limit : int
        Pairs a query, at most.
    total : int, optional
        Pairs over all queries, at most; ten times the queries by default, and never more than 500,000.
    limits : ImageLimits
    on_progress : callable, optional
        Called with the number of queries finished since the last call.

    Raises
    ------
    UsageError
        A limit is below one, or `total` above 500,000.
    ModelMismatchError
        `model` is not the collection's.
    """
    _check_limits(limit, total)
    model = model or collection.load_model()
    collection.check_model(model)
    described: list[DescribedImage] = []
    skipped: list[SkippedImage] = []
    for result in describe_items(items, model, limits=limits, on_progress=on_progress):
        if isinstance(result, DescribedImage):
            described.append(result)
        else:
            skipped.append(result)
    vectors = np.array([image.vector for image in described], np.float32).reshape(-1, model.dimension)
    queries = [image.item for image in described]
    return _report(collection, queries, vectors, limit, total, tuple(skipped))


def match_descriptors(
    collection: Collection, descriptors: DescriptorSet, *, limit: int = PAIRS_A_QUERY, total: int | None = None
) -> MatchReport:
    """Find the references that queries may have been copied from, for descriptors that were made before.

    Parameters
    ----------
    collection : Collection
    descriptors : DescriptorSet
        Of the queries; from `ectype.read_descriptors`.
    limit, total : int
        As for `match_images`.

    Raises
    ------
    UsageError
        A limit is below one, or `total` above 500,000.
    ModelMismatchError
        The descriptors are another model's than the collection's.
    """
    _check_limits(limit, total)
    if descriptors.fingerprint != collection.fingerprint:
        raise ModelMismatchError(
            f"{collection.folder}: its images were described by another model ({collection.fingerprint[:12]}) than the "
            f"queries ({descriptors.fingerprint[:12]}); describe the queries with the collection's model"
        )
    queries = [ImageItem(name, "") for name in descriptors.ids]
    return _report(collection, queries, descriptors.vectors, limit, total, ())


def _check_limits(limit: int, total: int | None) -> None:
    if limit < 1:
        raise UsageError(f"at least one pair a query must be allowed, not {limit}")
    if total is not None and not 1 <= total <= MOST_PAIRS:
        raise UsageError(f"the total must be 1 to {MOST_PAIRS:,} pairs, not {total:,}")


def _report(
    collection: Collection,
    queries: Sequence[ImageItem],
    vectors: NDArray[np.float32],
    limit: int,
    total: int | None,
    skipped: tuple[SkippedImage, ...],
) -> MatchReport:
    best = select_best(_search(collection, vectors, limit), default_total(len(queries)) if total is None else total)
    by_row = collection.references({int(row) for row in best.reference_rows})
    matches = tuple(
        Match(queries[query].id, by_row[row].id, float(score))
        for query, row, score in zip(best.query_rows.tolist(), best.reference_rows.tolist(), best.scores, strict=True)
        if row in by_row  # another process may have removed it since the search
    )
    return MatchReport(
        matches,
        {query.id: query for query in queries},
        {reference.id: reference for reference in by_row.values()},
        skipped,
    )


def _search(collection: Collection, vectors: NDArray[np.float32], limit: int) -> Neighbours:
    """Search in blocks of queries, so that memory does not grow with their number."""
    parts = [
        (start, collection.search(vectors[start : start + _QUERIES_A_SEARCH], limit))
        for start in range(0, len(vectors), _QUERIES_A_SEARCH)
    ]
    return Neighbours(
        np.concatenate([np.empty(0, np.int64), *(part.query_rows + start for start, part in parts)]),
        np.concatenate([np.empty(0, np.int64), *(part.reference_rows for _, part in parts)]),
        np.concatenate([np.empty(0, np.float32), *(part.scores for _, part in parts)]),
    )
