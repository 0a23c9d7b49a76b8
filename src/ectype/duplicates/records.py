"""The values that pass through the search for duplicates.

A *content* is the SHA-256 of a file's bytes, in hexadecimal. Comparisons and decisions belong to contents, since these
stay what they are when files are renamed, moved or added again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ectype.errors import InvalidDataError
from ectype.evidence import Decision
from ectype.images import ImageItem
from ectype.types import SkippedImage

Verdict = Literal["same", "different"]
"""What a person decided of two contents."""

Source = Literal["bytes", "matcher", "person"]
"""Who says that two images are copies: they are equal byte for byte, or the matcher or a person found so."""


@dataclass(frozen=True, slots=True)
class HeldImage:
    """An image of the holding, and what its file says of it.

    Attributes
    ----------
    id : str
        Its path below the folder of photographs, or its id in the collection.
    location : str
    sha256 : str
        Its content.
    width, height : int or None
        Pixels as displayed. None, like the three below, if the file is not there any more.
    bytes : int or None
    modified : float or None
        When the file was last written, in seconds since 1970.
    version : str or None
        Tells whether the file is still the one that was read.
    """

    id: str
    location: str
    sha256: str
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    modified: float | None = None
    version: str | None = None

    @property
    def pixels(self) -> int:
        return (self.width or 0) * (self.height or 0)


@dataclass(frozen=True, slots=True)
class Holding:
    """What there is to compare, at one moment.

    Attributes
    ----------
    images : tuple of HeldImage
    contents : mapping of str to str
        By id in the searched collection.
    queries : mapping of str to ImageItem
        By content: one file of each that can be read, under its id in the searched collection.
    skipped : tuple of SkippedImage
    """

    images: tuple[HeldImage, ...]
    contents: Mapping[str, str]
    queries: Mapping[str, ImageItem]
    skipped: tuple[SkippedImage, ...]


@dataclass(frozen=True, slots=True)
class ContentPair:
    """Two contents and what the matcher says of them.

    Attributes
    ----------
    first, second : str
        `first` is the smaller.
    score : float
        Probability of a copy.
    decision : {"copy", "review"}
    """

    first: str
    second: str
    score: float
    decision: Decision

    def __post_init__(self) -> None:
        _check_order(self.first, self.second)

    @property
    def key(self) -> tuple[str, str]:
        return self.first, self.second


@dataclass(frozen=True, slots=True)
class Mark:
    """A person's decision on two contents.

    Attributes
    ----------
    first, second : str
        `first` is the smaller.
    verdict : {"same", "different"}
    made : str
        When, as ISO 8601.
    """

    first: str
    second: str
    verdict: Verdict
    made: str = ""

    def __post_init__(self) -> None:
        _check_order(self.first, self.second)

    @property
    def key(self) -> tuple[str, str]:
        return self.first, self.second


def _check_order(first: str, second: str) -> None:
    if not first < second:
        raise InvalidDataError(f"a pair has two contents in order, not {first} and {second}")


def in_order(one: str, other: str) -> tuple[str, str]:
    """Two contents as a pair has them."""
    return (one, other) if one < other else (other, one)


@dataclass(frozen=True, slots=True)
class FoundPair:
    """Two images of the holding that are, or may be, copies of each other.

    Attributes
    ----------
    first_id, second_id : str
    score : float
        Probability of a copy; 1 for equal bytes and for a person's decision.
    source : {"bytes", "matcher", "person"}
    """

    first_id: str
    second_id: str
    score: float
    source: Source


@dataclass(frozen=True, slots=True)
class DuplicateSet:
    """Images that are copies of each other.

    Attributes
    ----------
    members : tuple of HeldImage
        Two or more, the suggested original first.
    why : str
        Why it is suggested, in words.
    pairs : tuple of FoundPair
        What joins them.
    """

    members: tuple[HeldImage, ...]
    why: str
    pairs: tuple[FoundPair, ...]

    def __post_init__(self) -> None:
        if len(self.members) < 2:
            raise InvalidDataError(f"a set of copies has two images or more, not {len(self.members)}")

    @property
    def original(self) -> HeldImage:
        return self.members[0]


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Images that would be one set, if a person had not decided that some of them differ.

    Attributes
    ----------
    members : tuple of HeldImage
    chains : tuple of tuple of str
        Ids. For each decision that is contradicted, the shortest way from the one image to the other by pairs that
        are taken for copies; its two ends are the images that a person decided to be different.
    pairs : tuple of FoundPair
        What joins them.
    """

    members: tuple[HeldImage, ...]
    chains: tuple[tuple[str, ...], ...]
    pairs: tuple[FoundPair, ...]


@dataclass(frozen=True, slots=True)
class DuplicateReport:
    """What was found in a holding.

    Attributes
    ----------
    images, compared : int
        All images, and contents that this run compared with the others.
    sets : tuple of DuplicateSet
        No two have an image in common.
    review : tuple of FoundPair
        Pairs to be looked at, from the highest score to the lowest.
    contradictions : tuple of Contradiction
    skipped : tuple of SkippedImage
    locations : mapping of str to str
        By id, for the images of `review`.
    state : Path
        The folder of what is remembered.
    """

    images: int
    compared: int
    sets: tuple[DuplicateSet, ...]
    review: tuple[FoundPair, ...]
    contradictions: tuple[Contradiction, ...]
    skipped: Sequence[SkippedImage]
    locations: Mapping[str, str]
    state: Path
