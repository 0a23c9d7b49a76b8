"""What an audit found, in words and as JSON values."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from ectype.challenge.auditing.comparing import Comparison, Finding
from ectype.challenge.auditing.probes import AuditSettings, Kind, Probe

Verdict = Literal["no breach found", "missing pairs", "breach of independence", "not deterministic"]

_MOST_TELLING: tuple[Kind, ...] = ("repeat", "order", "names", "single", "subset", "chunk")


@dataclass(frozen=True, slots=True, eq=False)
class ProbeResult:
    """What one run of an audit showed.

    Attributes
    ----------
    full : Probe
        The run on every image.
    probe : Probe
    comparison : Comparison or None
        Of the two; None if the entry failed.
    failure : str or None
        Why it failed, although it had not on every image.
    """

    full: Probe
    probe: Probe
    comparison: Comparison | None
    failure: str | None = None

    @property
    def breach(self) -> bool:
        """Whether a score changed, or the entry failed."""
        return self.comparison is None or self.comparison.changed > 0

    @property
    def findings(self) -> tuple[Finding, ...]:
        return () if self.comparison is None else self.comparison.findings

    @property
    def circumstances(self) -> tuple[str, str]:
        """In words: how the run on every image differs from this one, and this one from it."""
        queries, references = f"{len(self.probe.queries):,}", f"{len(self.probe.references):,}"
        all_queries, all_references = f"{len(self.full.queries):,} queries", f"{len(self.full.references):,} references"
        words: dict[Kind, tuple[str, str]] = {
            "repeat": ("in a first run", "in a second one with the very same files"),
            "names": ("under drawn names and one time of change", "in the submission, under the true ones"),
            "order": ("under some names", "under others, so in another order"),
            "subset": (f"among {all_queries}", f"among {queries} of them"),
            "single": (f"among {all_queries}", "alone"),
            "chunk": (f"among {all_references}", f"among {references} of them"),
        }
        return words[self.probe.kind]

    def sentence(self, finding: Finding) -> str:
        """A finding in words."""
        among_all, in_probe = self.circumstances
        pair = f"{finding.query}, {finding.reference}"
        first, second = finding.score_among_all, finding.score_in_probe
        if first is not None and second is not None:
            one, other = _told_apart(first, second)
            return f"the score of {pair} was {one} {among_all} and {other} {in_probe}"
        score, there, elsewhere = (first, among_all, in_probe) if second is None else (second, in_probe, among_all)
        found = f"{pair} was found with the score {score:.6g} {there}"
        return f"{found}, but not {elsewhere}, which no limit on pairs explains"

    def to_dict(self) -> dict[str, Any]:
        """The result as JSON values."""
        comparison = self.comparison
        return {
            "probe": self.probe.kind,
            "number": self.probe.number,
            "queries": len(self.probe.queries),
            "references": len(self.probe.references),
            "compared": 0 if comparison is None else len(comparison.scores),
            "changed": 0 if comparison is None else comparison.changed,
            "missing": 0 if comparison is None else comparison.missing,
            "failure": self.failure,
            "findings": [asdict(finding) | {"sentence": self.sentence(finding)} for finding in self.findings],
        }


@dataclass(frozen=True, slots=True, eq=False)
class AuditReport:
    """What an audit found.

    Attributes
    ----------
    entry : str
        Folder of the entry.
    settings : AuditSettings
    queries, references, pairs : int
        Images, and pairs that were found among all of them.
    network : bool
        Whether the entry ran without the sandbox: with the network, and all the user may read.
    results : tuple of ProbeResult
    freeze : str or None
        Digest of the freeze that the entry was held against before.
    """

    entry: str
    settings: AuditSettings
    queries: int
    references: int
    pairs: int
    network: bool
    results: tuple[ProbeResult, ...]
    freeze: str | None = None

    @property
    def verdict(self) -> Verdict:
        """What the runs say together; a score that changes in a mere repetition leaves open why others do."""
        broken = {result.probe.kind for result in self.results if result.breach}
        if "repeat" in broken:
            return "not deterministic"
        if broken:
            return "breach of independence"
        return "missing pairs" if any(result.findings for result in self.results) else "no breach found"

    @property
    def breaking_probes(self) -> tuple[Kind, ...]:
        """Kinds of the runs in which a score changed or the entry failed, the most telling first."""
        broken = {result.probe.kind for result in self.results if result.breach}
        return tuple(kind for kind in _MOST_TELLING if kind in broken)

    @property
    def sentence(self) -> str:
        """The verdict, with the pair that shows it."""
        if self.verdict == "no breach found":
            return f"no breach found in these {len(self.results)} probes"
        telling = min(
            (result for result in self.results if result.breach or result.findings),
            key=lambda result: (not result.breach, _MOST_TELLING.index(result.probe.kind), result.probe.number),
        )
        if telling.failure is not None:
            return f"{self.verdict}: it fails {telling.circumstances[1]}: {telling.failure}"
        return f"{self.verdict}: {telling.sentence(telling.findings[0])}"

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "entry": self.entry,
            "verdict": self.verdict,
            "sentence": self.sentence,
            "breaking_probes": list(self.breaking_probes),
            "settings": asdict(self.settings),
            "queries": self.queries,
            "references": self.references,
            "pairs": self.pairs,
            "network": self.network,
            "freeze": self.freeze,
            "results": [result.to_dict() for result in self.results],
        }


def _told_apart(one: float, other: float) -> tuple[str, str]:
    """Two numbers with as many digits as show that they differ."""
    for digits in (3, 6, 9):
        texts = f"{one:.{digits}g}", f"{other:.{digits}g}"
        if texts[0] != texts[1]:
            return texts
    return repr(one), repr(other)
