"""What matching gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ectype.collection import Reference
from ectype.errors import UsageError
from ectype.images import ImageItem
from ectype.matching.selection import MOST_PAIRS
from ectype.types import Match, SkippedImage


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
        Queries that could not be read, or show nothing.
    """

    matches: tuple[Match, ...]
    queries: Mapping[str, ImageItem]
    references: Mapping[str, Reference]
    skipped: tuple[SkippedImage, ...]


def check_limits(limit: int, total: int | None) -> None:
    """Raise `UsageError` for a limit a query or in all that can't be."""
    if limit < 1:
        raise UsageError(f"at least one pair a query must be allowed, not {limit}")
    if total is not None and not 1 <= total <= MOST_PAIRS:
        raise UsageError(f"the total must be 1 to {MOST_PAIRS:,} pairs, not {total:,}")
