"""The HTML report: queries and the references found for them, side by side, in one file without a network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TypeGuard

from ectype.evidence import Points
from ectype.images import ImageItem
from ectype.matching import MatchReport
from ectype.reports.canvas import Pixels
from ectype.reports.drawing import draw_pair, shows
from ectype.reports.page import write_page
from ectype.reports.pictures import SIDE, pixels_of, thumbnail_of, within
from ectype.reports.reasons import reasons
from ectype.types import Match

QUERIES_SHOWN = 250
_DRAWING_BYTES = 40_000


@dataclass(frozen=True, slots=True)
class Annotation:
    """What is known of a pair beside its score: whether it is right, and how the query was made."""

    right: bool
    text: str


@dataclass(frozen=True, slots=True)
class Heading:
    """The top of a report: a title, figures to show first, and a picture (a data URI) if there is one."""

    title: str
    figures: Mapping[str, str]
    picture: str | None = None


@dataclass(frozen=True, slots=True)
class _Figure:
    """One picture of a pair, with the polygon that the other one shows, if that is known."""

    role: str
    id: str
    location: str
    picture: str | None
    region: str | None


@dataclass(frozen=True, slots=True)
class _Row:
    match: Match
    figures: tuple[_Figure, _Figure]
    drawing: str | None
    annotation: Annotation | None


def write_match_report(
    path: str | Path,
    report: MatchReport,
    heading: Heading,
    annotations: Mapping[tuple[str, str], Annotation] | None = None,
) -> None:
    """Write the best pair of each query as a page with pictures, from the highest score to the lowest.

    Pairs with evidence are shown with their decision, the reasons for it and a drawing.

    Parameters
    ----------
    path : str or Path
    report : MatchReport
        The first 250 queries are shown, the rest counted.
    heading : Heading
    annotations : mapping, optional
        By query and reference id.

    Raises
    ------
    StorageError
        The disk refused.
    """
    best: dict[str, Match] = {}
    for match in report.matches:  # the highest score comes first
        best.setdefault(match.query_id, match)
    rows = [_row(match, report, annotations or {}) for match in islice(best.values(), QUERIES_SHOWN)]
    content = {
        "heading": heading,
        "rows": rows,
        "reasons": reasons,
        "total": len(report.matches),
        "skipped": report.skipped,
        "most": QUERIES_SHOWN,
    }
    write_page(path, "ectype.reports", "matches.html", content)


def _row(match: Match, report: MatchReport, annotations: Mapping[tuple[str, str], Annotation]) -> _Row:
    item = report.queries[match.query_id]
    location = report.references[match.reference_id].location
    query, reference = pixels_of(item), pixels_of(ImageItem.at(match.reference_id, location))
    found = None if match.evidence is None else match.evidence.verification
    regions: tuple[str | None, str | None] = (None, None)
    drawing = None
    if found is not None and _is_of(query, found.query_size) and _is_of(reference, found.reference_size):
        regions = _points(found.query_region, found.query_size), _points(found.reference_region, found.reference_size)
        drawing = within(draw_pair(query, reference, match, height=SIDE, words=False), _DRAWING_BYTES)
    figures = (
        _Figure("query", item.id, item.location, thumbnail_of(query), regions[0]),
        _Figure("reference", match.reference_id, location, thumbnail_of(reference), regions[1]),
    )
    return _Row(match, figures, drawing, annotations.get((match.query_id, match.reference_id)))


def _is_of(pixels: Pixels | None, size: tuple[int, int]) -> TypeGuard[Pixels]:
    """Whether a picture can still be read, and is of the size that was verified."""
    return pixels is not None and shows(pixels, size)


def _points(region: Points, size: tuple[int, int]) -> str:
    """A polygon as SVG writes it, in thousandths of the picture's sides."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in region / size * 1000)
