"""New images are compared with all others, a batch at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ectype.collection import Collection
from ectype.descriptors import DescriptorModel
from ectype.duplicates.records import ContentPair, Holding, in_order
from ectype.duplicates.store import Store
from ectype.images import ImageItem, ImageLimits
from ectype.types import Match, SkippedImage

IMAGES_A_TRANSACTION = 64
"""Fewer than elsewhere: comparing takes long, so a killed run would lose minutes."""

_FEW, _MORE = 20, 10
"""Pairs that are asked for a query; and how many times as many if all of them may be copies."""


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """What was found for some queries.

    Attributes
    ----------
    matches : tuple of Match
        Those with the decision "copy" or "review"; none of an image with itself.
    skipped : tuple of SkippedImage
        Queries that could not be compared.
    """

    matches: tuple[Match, ...]
    skipped: tuple[SkippedImage, ...] = ()


class FindsCopies(Protocol):
    """Finds copies of images in a collection."""

    @property
    def method(self) -> str:
        """Tells ways of scoring apart: scores of different ones are not compared."""

    def copies_of(self, items: Sequence[ImageItem]) -> Copies:
        """Compare images with all that the collection holds. An item that is there itself has the id it has there."""


class MatcherOfCopies:
    """`FindsCopies` by `ectype.matching.Matcher`.

    Parameters
    ----------
    collection : Collection
    model : DescriptorModel
        The collection's.
    limits : ImageLimits
    """

    def __init__(self, collection: Collection, model: DescriptorModel, limits: ImageLimits) -> None:
        from ectype.matching import Matcher, find_calibration
        from ectype.matching.calibration import METHOD

        calibration = find_calibration(collection)
        self._collection = collection
        self._matcher = Matcher(collection, model, calibration, limits)
        scoring = (METHOD, calibration.verified, calibration.by_descriptor, calibration.thresholds)
        digest = hashlib.sha256(repr(scoring).encode() + calibration.background.vectors.tobytes()).hexdigest()
        self.method = f"{model.fingerprint[:16]} {digest[:16]}"

    def copies_of(self, items: Sequence[ImageItem]) -> Copies:
        from ectype.matching import MOST_PAIRS

        matches: list[Match] = []
        skipped: list[SkippedImage] = []
        waiting, limit = list(items), _FEW
        while waiting:
            report = self._matcher.match(waiting, limit=limit, total=min(limit * len(waiting), MOST_PAIRS))
            skipped += report.skipped
            found: dict[str, list[Match]] = {item.id: [] for item in waiting}
            for match in report.matches:
                found[match.query_id].append(match)
            most = min(len(self._collection), MOST_PAIRS // len(waiting))
            full = {name for name, some in found.items() if limit < most and _may_have_more(some, limit)}
            matches += [match for name, some in found.items() if name not in full for match in some]
            waiting, limit = [item for item in waiting if item.id in full], limit * _MORE
        kept = [match for match in matches if match.decision != "different" and match.query_id != match.reference_id]
        return Copies(tuple(kept), tuple(skipped))


def _may_have_more(matches: Sequence[Match], limit: int) -> bool:
    return len(matches) >= limit and all(match.decision != "different" for match in matches)


def compare(holding: Holding, store: Store, finder: FindsCopies, contents: Sequence[str]) -> list[SkippedImage]:
    """Compare contents with all others and store what is found, in one transaction.

    Parameters
    ----------
    holding : Holding
    store : Store
    finder : FindsCopies
    contents : sequence of str
        Of the holding's queries.

    Returns
    -------
    list of SkippedImage
        What could not be compared, and so will be tried again.
    """
    found = finder.copies_of([holding.queries[content] for content in contents])
    skipped = {holding.contents[row.id] for row in found.skipped}
    store.record((content for content in contents if content not in skipped), _pairs(found.matches, holding))
    return list(found.skipped)


def _pairs(matches: Iterable[Match], holding: Holding) -> Iterable[ContentPair]:
    for match in matches:
        query, reference = holding.contents[match.query_id], holding.contents.get(match.reference_id)
        if reference is not None and reference != query and match.decision in ("copy", "review"):
            yield ContentPair(*in_order(query, reference), match.score, match.decision)
