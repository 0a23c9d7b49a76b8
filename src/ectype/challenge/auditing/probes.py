"""The runs of an audit: which images each of them is given, and under what names.

Every choice is drawn from the audit's seed and the run's own name, so that one run can be repeated without the others.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ectype.errors import UsageError

Kind = Literal["all", "repeat", "names", "order", "subset", "single", "chunk"]


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """How far an audit goes.

    Attributes
    ----------
    seed : int
    subsets : int
        Runs on a quarter to a half of the queries.
    singles : int
        Runs on one query.
    chunks : int
        Parts into which the references are divided, each with a run of its own; none if 0.
    tolerance : float
        How far two scores of one pair may differ, relative to the larger one.

    Raises
    ------
    UsageError
        A negative number, one chunk, which would be all references, or a tolerance outside 0 to 1.
    """

    seed: int = 0
    subsets: int = 3
    singles: int = 5
    chunks: int = 3
    tolerance: float = 1e-6

    def __post_init__(self) -> None:
        if min(self.subsets, self.singles, self.chunks) < 0:
            raise UsageError("an audit can't have fewer than 0 runs of a kind")
        if self.chunks == 1:
            raise UsageError("one chunk holds all references and shows nothing; take 2 or more, or 0 for none")
        if not 0 <= self.tolerance < 1:
            raise UsageError(f"the tolerance must be from 0 to below 1, not {self.tolerance}")


@dataclass(frozen=True, slots=True)
class Probe:
    """One run of an audit.

    Attributes
    ----------
    kind : str
        ``all``: every image, under drawn names; the others are compared with it. ``repeat``: the same again.
        ``names``: the submission that was made with the true names. ``order``: every image, with other names, and so
        in another order. ``subset``: some queries. ``single``: one query. ``chunk``: a part of the references.
    number : int
        From 1 for each kind.
    queries, references : tuple of str
        Ids of the images it is given.
    """

    kind: Kind
    number: int
    queries: tuple[str, ...]
    references: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.kind} {self.number}"

    def drawn_names(self, files: Iterable[tuple[str, Path]], seed: int) -> dict[str, str]:
        """A name without meaning for each file, by its id, in an order without meaning.

        Those of ``repeat`` are those of ``all``.
        """
        naming = "all 1" if self.kind == "repeat" else self.name
        rng = random.Random(f"{seed}: names of {naming}")  # noqa: S311  # to be repeated, not to be secret
        shuffled = rng.sample(files := list(files), len(files))
        numbers = rng.sample(range(16**12), len(files))
        drawn = zip(shuffled, numbers, strict=True)
        return {image: f"{number:012x}{path.suffix}" for (image, path), number in drawn}


def whole(kind: Kind, queries: Sequence[str], references: Sequence[str]) -> Probe:
    """A run on every image."""
    return Probe(kind, 1, tuple(queries), tuple(references))


def partial_probes(full: Probe, answered: Sequence[str], settings: AuditSettings) -> list[Probe]:
    """The runs on parts of the images.

    Parameters
    ----------
    full : Probe
        The run on all of them.
    answered : sequence of str
        Queries for which pairs were found: single queries are drawn from these first, as the others show little.
    settings : AuditSettings
    """
    probes: list[Probe] = []

    def add(kind: Kind, number: int, *, queries: Sequence[str] = (), references: Sequence[str] = ()) -> None:
        probes.append(Probe(kind, number, tuple(queries) or full.queries, tuple(references) or full.references))

    for number in range(1, settings.subsets + 1):
        rng = _rng(settings, f"subset {number}")
        count = len(full.queries)
        add("subset", number, queries=rng.sample(full.queries, rng.randint(max(1, count // 4), max(1, count // 2))))
    rng = _rng(settings, "singles")
    unanswered = sorted(set(full.queries) - set(answered))
    candidates = [*rng.sample(sorted(answered), len(answered)), *rng.sample(unanswered, len(unanswered))]
    for number, query in enumerate(candidates[: settings.singles], 1):
        add("single", number, queries=[query])
    shuffled = _rng(settings, "chunks").sample(full.references, len(full.references))
    for number in range(1, min(settings.chunks, len(shuffled)) + 1):
        add("chunk", number, references=shuffled[number - 1 :: settings.chunks])
    return probes


def _rng(settings: AuditSettings, what: str) -> random.Random:
    return random.Random(f"{settings.seed}: {what}")  # noqa: S311  # to be repeated, not to be secret
