"""Two runs of one entry side by side: scores that changed, and pairs that should be there and are not.

An entry may keep a limited number of pairs, so a pair can be missing in a run and nothing be wrong. It is not explained
so if the run kept a worse one: of the same query, or, if it kept none of this query, of any. Fewer images are fewer
rivals, so what was found among all must be found among a part, but not the other way round.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ectype.challenge.auditing.probes import Probe

MOST_FINDINGS = 20
"""Kept of each run, those with the largest differences; the others are counted."""

_SMALLEST_DIFFERENCE = 1e-12  # so that 0 and what rounding leaves of it are equal

Pair = tuple[str, str]
Scores = Mapping[Pair, float]


@dataclass(frozen=True, slots=True)
class Finding:
    """A pair that two runs disagree on.

    Attributes
    ----------
    what : {"changed", "missing"}
    query, reference : str
    score_among_all : float or None
        In the run on every image; None if it is missing there.
    score_in_probe : float or None
        In the other run; None if it is missing there.
    """

    what: Literal["changed", "missing"]
    query: str
    reference: str
    score_among_all: float | None
    score_in_probe: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """What two runs of one entry have to say of the same pairs.

    Attributes
    ----------
    scores : ndarray of float64, shape (n, 2)
        Of the pairs that both found: in the run on every image, and in the other.
    changed, missing : int
        Pairs whose score differs; pairs that one run left out without an explanation.
    findings : tuple of Finding
        Changed ones first, those with the largest differences; at most 20 of each sort.
    """

    scores: NDArray[np.float64]
    changed: int
    missing: int
    findings: tuple[Finding, ...]


def compare(among_all: Scores, in_probe: Scores, probe: Probe, tolerance: float) -> Comparison:
    """Hold the run of a probe against the run on every image.

    Parameters
    ----------
    among_all, in_probe : mapping of (str, str) to float
        Score of each pair of query and reference.
    probe : Probe
        What the other run was given.
    tolerance : float
        How far scores may differ, relative to the larger one.
    """
    queries, references = frozenset(probe.queries), frozenset(probe.references)
    shared = sorted(among_all.keys() & in_probe.keys())
    scores = np.array([(among_all[pair], in_probe[pair]) for pair in shared], np.float64).reshape(-1, 2)
    changed = [
        Finding("changed", *pair, among_all[pair], in_probe[pair])
        for pair in shared
        if not _equal(among_all[pair], in_probe[pair], tolerance)
    ]
    changed.sort(key=_difference, reverse=True)
    possible = {pair: score for pair, score in among_all.items() if pair[0] in queries and pair[1] in references}
    missing = [Finding("missing", *pair, possible[pair], None) for pair in _unexplained(possible, in_probe, tolerance)]
    if probe.kind in ("repeat", "names", "order"):
        backwards = _unexplained(in_probe, among_all, tolerance)
        missing += [Finding("missing", *pair, None, in_probe[pair]) for pair in backwards]
    findings = (*changed[:MOST_FINDINGS], *missing[:MOST_FINDINGS])
    return Comparison(scores, len(changed), len(missing), findings)


def _equal(one: float, other: float, tolerance: float) -> bool:
    return math.isclose(one, other, rel_tol=tolerance, abs_tol=_SMALLEST_DIFFERENCE)


def _difference(finding: Finding) -> float:
    return abs((finding.score_among_all or 0) - (finding.score_in_probe or 0))


def _unexplained(found: Scores, elsewhere: Scores, tolerance: float) -> list[Pair]:
    """Pairs of one run that another lacks although it kept worse ones; the best come first."""
    lowest: dict[str, float] = {}
    for (query, _), score in elsewhere.items():
        lowest[query] = min(score, lowest.get(query, math.inf))
    lowest_of_all = min(lowest.values(), default=-math.inf)
    pairs = []
    for pair, score in found.items():
        kept = lowest.get(pair[0], lowest_of_all)
        if pair not in elsewhere and score > kept and not _equal(score, kept, tolerance):
            pairs.append(pair)
    return sorted(pairs, key=lambda pair: (-found[pair], pair))
