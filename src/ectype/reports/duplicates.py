"""The page of sets of copies: each a row of pictures, the suggested original first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ectype.duplicates import DuplicateReport, FoundPair, HeldImage
from ectype.images import ImageItem
from ectype.reports.page import write_page
from ectype.reports.pictures import thumbnail

SETS_SHOWN, IMAGES_A_SET, PAIRS_SHOWN = 250, 24, 100


@dataclass(frozen=True, slots=True)
class _Shown:
    id: str
    location: str
    size: str
    picture: str | None


@dataclass(frozen=True, slots=True)
class _Row:
    """Pictures of one set, and how many more it has."""

    images: tuple[_Shown, ...]
    more: int
    sentences: tuple[str, ...]


def write_duplicate_report(path: str | Path, report: DuplicateReport, title: str) -> None:
    """Write sets, contradictions and pairs to be looked at as one page with pictures.

    Parameters
    ----------
    path : str or Path
    report : DuplicateReport
        The first 250 sets are shown, 24 images of each, and the first 100 pairs; the rest is counted.
    title : str

    Raises
    ------
    StorageError
        The disk refused.
    """
    sets = [_row(one.members, (one.why,)) for one in report.sets[:SETS_SHOWN]]
    contradictions = [
        _row(one.members, tuple(_contradicted(chain) for chain in one.chains))
        for one in report.contradictions[:SETS_SHOWN]
    ]
    review = [_pair(pair, report.locations.__getitem__) for pair in report.review[:PAIRS_SHOWN]]
    content = {
        "title": title,
        "report": report,
        "sets": sets,
        "contradictions": contradictions,
        "review": review,
    }
    write_page(path, "ectype.reports", "duplicates.html", content)


def _row(images: Sequence[HeldImage], sentences: tuple[str, ...]) -> _Row:
    shown = tuple(_show(image.id, image.location, _size(image)) for image in images[:IMAGES_A_SET])
    return _Row(shown, len(images) - len(shown), sentences)


def _pair(pair: FoundPair, location_of: Callable[[str], str]) -> _Row:
    shown = tuple(_show(name, location_of(name), "") for name in (pair.first_id, pair.second_id))
    return _Row(shown, 0, (f"{pair.score:.3f}",))


def _contradicted(chain: Sequence[str]) -> str:
    return f"{chain[0]} and {chain[-1]} are marked as different, but joined by {' – '.join(chain)}"


def _show(id: str, location: str, size: str) -> _Shown:
    return _Shown(id, location, size, thumbnail(ImageItem.at(id, location)))


def _size(image: HeldImage) -> str:
    return f"{image.width} × {image.height}, {image.bytes:,} bytes" if image.bytes is not None else "no file"
