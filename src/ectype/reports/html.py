"""The HTML report: queries and the references found for them, side by side, in one file without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from pathlib import Path

from ectype import __version__
from ectype.images import ImageItem
from ectype.matching import MatchReport
from ectype.reports.pictures import thumbnail
from ectype.storage import replacing
from ectype.types import Match, SkippedImage

QUERIES_SHOWN = 250


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
class _Row:
    match: Match
    query_location: str
    reference_location: str
    query_picture: str | None
    reference_picture: str | None
    annotation: Annotation | None


def write_match_report(
    path: str | Path,
    report: MatchReport,
    heading: Heading,
    annotations: Mapping[tuple[str, str], Annotation] | None = None,
) -> None:
    """Write the best pair of each query as a page with pictures, from the highest score to the lowest.

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
    page = _render(heading, rows, len(report.matches), report.skipped)
    with replacing(path) as temporary:
        temporary.write_text(page, "utf-8")


def _row(match: Match, report: MatchReport, annotations: Mapping[tuple[str, str], Annotation]) -> _Row:
    query = report.queries[match.query_id]
    location = report.references[match.reference_id].location
    return _Row(
        match,
        query.location,
        location,
        thumbnail(query),
        thumbnail(ImageItem.at(match.reference_id, location)),
        annotations.get((match.query_id, match.reference_id)),
    )


def _render(heading: Heading, rows: Sequence[_Row], total: int, skipped: Sequence[SkippedImage]) -> str:
    import jinja2

    source = (resources.files("ectype.reports") / "matches.html").read_text("utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    return template.render(
        heading=heading, rows=rows, total=total, skipped=skipped, most=QUERIES_SHOWN, version=__version__
    )
