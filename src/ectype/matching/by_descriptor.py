"""From queries to references by the descriptor alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ectype.collection import Collection
from ectype.descriptors import DescribedImage, DescriptorModel, describe_items
from ectype.errors import ModelMismatchError
from ectype.images import DEFAULT_LIMITS, ImageItem, ImageLimits
from ectype.matching.report import MatchReport, check_limits
from ectype.matching.selection import PAIRS_A_QUERY, default_total, select_best
from ectype.types import DescriptorSet, Match, Neighbours, OnProgress, SkippedImage

_QUERIES_A_SEARCH = 16384


def match_by_descriptor(
    collection: Collection,
    items: Sequence[ImageItem],
    model: DescriptorModel | None = None,
    *,
    limit: int = PAIRS_A_QUERY,
    total: int | None = None,
    limits: ImageLimits = DEFAULT_LIMITS,
    on_progress: OnProgress | None = None,
) -> MatchReport:
    """Find the references whose descriptors are nearest to those of the queries.

    The score of a pair is the inner product of its two descriptors. Crops, and pictures inside pictures, are found by
    `match_images` only.

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
    check_limits(limit, total)
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
        As for `match_by_descriptor`.

    Raises
    ------
    UsageError
        A limit is below one, or `total` above 500,000.
    ModelMismatchError
        The descriptors are another model's than the collection's.
    """
    check_limits(limit, total)
    if descriptors.fingerprint != collection.fingerprint:
        raise ModelMismatchError(
            f"{collection.folder}: its images were described by another model ({collection.fingerprint[:12]}) than the "
            f"queries ({descriptors.fingerprint[:12]}); describe the queries with the collection's model"
        )
    queries = [ImageItem(name, "") for name in descriptors.ids]
    return _report(collection, queries, descriptors.vectors, limit, total, ())


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
