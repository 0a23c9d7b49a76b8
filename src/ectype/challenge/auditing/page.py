"""An audit as a page: the verdict, a plot of scores in the one run against those in the other, and the pairs."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ectype.challenge.auditing.comparing import Finding
from ectype.challenge.auditing.report import AuditReport, ProbeResult
from ectype.challenge.running.staging import Images
from ectype.images import ImageItem
from ectype.reports import data_uri, write_page
from ectype.reports.pictures import thumbnail

FINDINGS_SHOWN = 5
"""Of each run; the JSON report holds more."""

_COLOURS = {
    "repeat": "#6b4fa0",
    "names": "#a0522d",
    "order": "#c0392b",
    "subset": "#1f5fa8",
    "single": "#1d7f45",
    "chunk": "#d98e04",
}


@dataclass(frozen=True, slots=True)
class _Shown:
    """A finding with its pictures (data URIs, if they can be read)."""

    finding: Finding
    sentence: str
    query: str | None
    reference: str | None


def write_audit_page(path: str | Path, report: AuditReport, images: Images) -> None:
    """Write an audit as one HTML file, which needs no network.

    Parameters
    ----------
    path : str or Path
    report : AuditReport
        Of each run the first 5 findings are shown with their pictures, the rest counted.
    images : Images
        Those that were audited.

    Raises
    ------
    StorageError
        The disk refused.
    """
    rows = [(result, [_shown(result, finding, images) for finding in _first(result)]) for result in report.results]
    content = {"report": report, "plot": data_uri(_plot(report), "image/png"), "rows": rows}
    write_page(path, "ectype.challenge.auditing", "audit.html", content)


def _first(result: ProbeResult) -> tuple[Finding, ...]:
    return result.findings[:FINDINGS_SHOWN]


def _shown(result: ProbeResult, finding: Finding, images: Images) -> _Shown:
    query, reference = _picture(finding.query, images.queries), _picture(finding.reference, images.references)
    return _Shown(finding, result.sentence(finding), query, reference)


def _picture(id: str, files: Mapping[str, Path]) -> str | None:
    return thumbnail(ImageItem.at(id, str(files[id])))


def _plot(report: AuditReport) -> bytes:
    """Each pair that was compared, as a point; an independent entry's points all lie on the diagonal."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.4), layout="constrained")
    axes = figure.add_subplot()
    named = set[str]()
    anywhere = 0.0
    for result in report.results:
        if result.comparison is not None and len(result.comparison.scores):
            kind = result.probe.kind
            label = None if kind in named else kind
            named.add(kind)
            anywhere = float(result.comparison.scores[0, 0])
            axes.plot(*result.comparison.scores.T, "o", color=_COLOURS[kind], markersize=4, alpha=0.6, label=label)
    axes.axline((anywhere, anywhere), slope=1, color="0.6", linewidth=0.8, linestyle="--")
    axes.set(xlabel="score among all images", ylabel="score in the probe")
    if named:
        axes.legend(loc="upper left", fontsize=8, framealpha=0.6)
    axes.grid(alpha=0.3)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()
