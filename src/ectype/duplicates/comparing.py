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
from ectype.matching import MOST_PAIRS, MatchReport
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


class Matches(Protocol):
    """What is needed of `ectype.matching.Matcher`."""

    def match(self, items: Sequence[ImageItem], *, limit: int, total: int | None) -> MatchReport:
        """The best pairs of each query with the references of a collection."""


class MatcherOfCopies:
    """`FindsCopies` by a matcher.

    Parameters
    ----------
    matcher : Matches
    references : int
        How many the matcher's collection has.
    method : str
    """

    def __init__(self, matcher: Matches, references: int, method: str) -> None:
        self._matcher, self._references = matcher, references
        self.method = method

    def copies_of(self, items: Sequence[ImageItem]) -> Copies:
        """Ask for few pairs of each query, and for more where all of them may be copies."""
        matches: list[Match] = []
        skipped: list[SkippedImage] = []
        waiting, limit = list(items), _FEW
        while waiting:
            report = self._matcher.match(waiting, limit=limit, total=min(limit * len(waiting), MOST_PAIRS))
            skipped += report.skipped
            found: dict[str, list[Match]] = {item.id: [] for item in waiting}
            for match in report.matches:
                found[match.query_id].append(match)
            most = min(self._references, MOST_PAIRS // len(waiting))
            full = {name for name, some in found.items() if limit < most and _may_have_more(some, limit)}
            matches += [match for name, some in found.items() if name not in full for match in some]
            waiting, limit = [item for item in waiting if item.id in full], min(limit * _MORE, most)
        kept = [match for match in matches if match.decision != "different" and match.query_id != match.reference_id]
        return Copies(tuple(kept), tuple(skipped))


def _may_have_more(matches: Sequence[Match], limit: int) -> bool:
    return len(matches) >= limit and all(match.decision != "different" for match in matches)


def by_matching(collection: Collection, model: DescriptorModel, limits: ImageLimits) -> FindsCopies:
    """`FindsCopies` by `ectype.matching.Matcher`, with the calibration that belongs to a collection.

    Raises
    ------
    ModelMismatchError
        The model is not the collection's, or there is no calibration for it.
    InvalidDataError
        The calibration is damaged, or its background has pictures of the collection.
    """
    from ectype.matching import Matcher, find_calibration  # here, so that decisions need no matcher
    from ectype.matching.calibration import METHOD

    calibration = find_calibration(collection)
    matcher = Matcher(collection, model, calibration, limits)
    scoring = repr((METHOD, calibration.verified, calibration.by_descriptor, calibration.thresholds))
    digest = hashlib.sha256(scoring.encode() + calibration.background.vectors.tobytes()).hexdigest()
    return MatcherOfCopies(matcher, len(collection), f"{model.fingerprint[:16]} {digest[:16]}")


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
