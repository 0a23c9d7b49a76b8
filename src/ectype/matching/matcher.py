"""From queries to the references they were copied from: candidates by views, proof by local features, one score."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ectype.collection import Collection, Reference
from ectype.descriptors import DescriptorModel
from ectype.descriptors.runtimes import available_cores
from ectype.errors import UnreadableImageError
from ectype.images import DEFAULT_LIMITS, ImageItem, ImageLimits, decode_image
from ectype.indexes.scoring import best_of_each_query
from ectype.matching.calibration import Calibration
from ectype.matching.finding import find_calibration
from ectype.matching.references import ReferenceFeatures
from ectype.matching.report import MatchReport, check_limits
from ectype.matching.scoring import QueryPicture, ReferencePicture, describe_query, is_blank, score_pair
from ectype.matching.selection import PAIRS_A_QUERY, default_total
from ectype.matching.views import VIEWS
from ectype.types import Match, OnProgress, SkippedImage
from ectype.verification import SIDE, Prepared

CANDIDATES = 20
"""References a query that are verified: the nearest to any of its views."""

_PAIRS_A_BLOCK = 4096  # whose references' features, of 60 kB each, may be in memory at once

Input = TypeVar("Input")
Output = TypeVar("Output")


class Matcher:
    """Finds the references that queries were copied from, proves it, and says how sure it is.

    The score of a pair depends on its two pictures and the calibration alone: not on other queries, and not on what
    else the collection holds, which decides only which references are looked at.

    Parameters
    ----------
    collection : Collection
    model : DescriptorModel, optional
        The collection's own by default.
    calibration : Calibration, optional
        The collection's own by default, else the one that came with Ectype.
    limits : ImageLimits

    Raises
    ------
    ModelMismatchError
        Model or calibration are not the collection's.
    InvalidDataError
        The calibration's background has pictures of the collection.
    """

    def __init__(
        self,
        collection: Collection,
        model: DescriptorModel | None = None,
        calibration: Calibration | None = None,
        limits: ImageLimits = DEFAULT_LIMITS,
    ) -> None:
        self._collection, self._limits = collection, limits
        self._model = model or collection.load_model()
        collection.check_model(self._model)
        self._calibration = calibration or find_calibration(collection)
        self._calibration.check_model(self._model.fingerprint)
        self._calibration.background.refuse_overlap(collection)
        self._features = ReferenceFeatures(limits)

    def match(
        self,
        items: Sequence[ImageItem],
        *,
        limit: int = PAIRS_A_QUERY,
        total: int | None = None,
        on_progress: OnProgress | None = None,
    ) -> MatchReport:
        """Match queries.

        Parameters
        ----------
        items : sequence of ImageItem
            From `ectype.list_images`.
        limit : int
            Pairs a query, at most.
        total : int, optional
            Pairs over all queries, at most; ten times the queries by default, and never more than 500,000.
        on_progress : callable, optional
            Called with the number of queries finished since the last call.

        Returns
        -------
        MatchReport

        Raises
        ------
        UsageError
            A limit is below one, or `total` above 500,000.
        """
        check_limits(limit, total)
        matches: list[Match] = []
        queries: dict[str, ImageItem] = {}
        references: dict[str, Reference] = {}
        skipped: list[SkippedImage] = []
        with ThreadPoolExecutor(available_cores(), thread_name_prefix="ectype-match") as pool:
            count = max(limit, CANDIDATES)
            for block in _blocks(items, max(1, _PAIRS_A_BLOCK // count)):
                read = list(_each(pool, self._read, block))
                skipped += [result for result in read if isinstance(result, SkippedImage)]
                if on_progress is not None:
                    on_progress(sum(isinstance(result, SkippedImage) for result in read))
                pictures = [result for result in read if isinstance(result, QueryPicture)]
                queries |= {
                    item.id: item for item, result in zip(block, read, strict=True) if isinstance(result, QueryPicture)
                }
                tasks = self._candidates(pictures, count)
                for found in _each(pool, self._score, tasks):
                    best = sorted(found, key=_order)[:limit]
                    matches += best
                    if on_progress is not None:
                        on_progress(1)
                references |= {one.id: one for task in tasks for one in task.references}
        best = sorted(matches, key=_order)[: default_total(len(queries)) if total is None else total]
        named = {match.reference_id for match in best}
        return MatchReport(
            tuple(best), queries, {name: one for name, one in references.items() if name in named}, tuple(skipped)
        )

    def _read(self, item: ImageItem) -> QueryPicture | SkippedImage:
        try:
            data = item.read(self._limits)
            pixels = decode_image(data, limits=self._limits, at_least=SIDE)
        except UnreadableImageError as error:
            return SkippedImage(item.id, item.location, error.code, str(error))
        if is_blank(pixels):
            return SkippedImage(item.id, item.location, "blank", "it shows nothing: one colour, or hardly more")
        return describe_query(item.id, data, pixels, self._model)

    def _candidates(self, pictures: Sequence[QueryPicture], count: int) -> list[_Task]:
        """For each query the references that are nearest to any of its views, with all that is needed to score them."""
        if not pictures:
            return []
        views = np.concatenate([picture.views for picture in pictures])
        found = self._collection.search(views, count)
        owners = found.query_rows // len(VIEWS)
        order = np.lexsort((-found.scores, found.reference_rows, owners))  # the best view of each pair first
        pairs = np.stack([owners[order], found.reference_rows[order]], axis=1)
        _, first = np.unique(pairs, axis=0, return_index=True)
        nearest = best_of_each_query(pairs[first, 0], pairs[first, 1], found.scores[order][first], count)
        rows = {int(row) for row in nearest.reference_rows}
        references = self._collection.references(rows)
        vectors = self._collection.vectors(rows)
        kept = self._collection.features(rows)
        tasks = []
        for number, picture in enumerate(pictures):
            mine = [int(row) for row in nearest.reference_rows[nearest.query_rows == number]]
            there = [row for row in mine if row in references and row in vectors]  # else removed since the search
            tasks.append(
                _Task(
                    picture,
                    tuple(references[row] for row in there),
                    tuple(vectors[row] for row in there),
                    tuple(kept.get(row) for row in there),
                )
            )
        return tasks

    def _score(self, task: _Task) -> list[Match]:
        return [
            score_pair(
                task.query,
                ReferencePicture(one.id, one.sha256, vector, kept or self._features.of_file(one)),
                self._calibration,
            )
            for one, vector, kept in zip(task.references, task.vectors, task.kept, strict=True)
        ]


@dataclass(frozen=True, slots=True, eq=False)
class _Task:
    query: QueryPicture
    references: tuple[Reference, ...]
    vectors: tuple[NDArray[np.float32], ...]
    kept: tuple[Prepared | None, ...]


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
    """Find the references that queries were copied from, by all evidence there is: see `Matcher`.

    Parameters
    ----------
    collection : Collection
    items : sequence of ImageItem
        The queries; from `ectype.list_images`.
    model : DescriptorModel, optional
        The collection's own by default.
    limit, total : int
        Pairs a query and in all, at most; as for `Matcher.match`.
    limits : ImageLimits
    on_progress : callable, optional
        Called with the number of queries finished since the last call.
    """
    return Matcher(collection, model, limits=limits).match(items, limit=limit, total=total, on_progress=on_progress)


def _order(match: Match) -> tuple[float, str, str]:
    return -match.score, match.query_id, match.reference_id


def _blocks(items: Sequence[ImageItem], size: int) -> Iterator[Sequence[ImageItem]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _each(pool: ThreadPoolExecutor, do: Callable[[Input], Output], inputs: Iterable[Input]) -> Iterator[Output]:
    """`do` for each input, in their order, on every core; matrix products take one core each meanwhile."""
    with threadpool_limits(1, user_api="blas"):
        yield from pool.map(do, inputs)
