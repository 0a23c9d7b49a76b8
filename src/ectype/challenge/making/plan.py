"""What a data set is to have, checked before anything is made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ectype.challenge.making.frequencies import ADVERSARIAL_ATTACK, FINAL_TEST_SET, Frequencies, checked
from ectype.errors import UsageError


@dataclass(frozen=True, slots=True)
class PhasePlan:
    """The queries of one phase.

    Attributes
    ----------
    queries : int
    copies : int
        So many of them; the others are distractors.
    kinds : mapping of str to float
        Weights of the kinds of edits that are drawn.
    """

    queries: int
    copies: int
    kinds: Frequencies

    @property
    def distractors(self) -> int:
        """Queries that were copied from no reference."""
        return self.queries - self.copies


@dataclass(frozen=True, slots=True)
class DataSetPlan:
    """What a data set is to have.

    Attributes
    ----------
    references, queries, training : int
        Images of each role, in phase 1.
    seed : int
        All chance follows from it, the labels too: keep it secret.
    copies : float
        Share of the queries that are copies of references, from 0 to 1.
    kinds : mapping of str to float
        Weights of the kinds of edits.
    held_back : tuple of str
        Kinds that only phase 2 uses.
    phase2_queries : int
        0 for a data set of one phase.

    Raises
    ------
    UsageError
        A number is out of its range, or a kind is unknown or can't be held back.
    """

    references: int
    queries: int
    training: int
    seed: int
    copies: float = 0.5
    kinds: Frequencies = field(default_factory=lambda: FINAL_TEST_SET)
    held_back: tuple[str, ...] = ()
    phase2_queries: int = 0

    def __post_init__(self) -> None:
        for name, least in (("references", 1), ("queries", 1), ("training", 0), ("phase2_queries", 0), ("seed", 0)):
            if getattr(self, name) < least:
                raise UsageError(f"{name.replace('_', ' ')} must be {least} or more, not {getattr(self, name)}")
        if not 0 <= self.copies <= 1:
            raise UsageError(f"the share of copies must be from 0 to 1, not {self.copies}")
        object.__setattr__(self, "kinds", checked(self.kinds))
        strange = [name for name in self.held_back if name not in self.kinds]
        if strange:
            raise UsageError(f"{strange[0]} can't be held back: it is not among the kinds {', '.join(self.kinds)}")
        if self.held_back and self.phase2_queries == 0:
            raise UsageError("kinds are held back for phase 2, but it has no queries; say how many it has")
        if not self._kinds_of_phase1():
            raise UsageError("every kind is held back for phase 2, so phase 1 has none; leave it at least one")

    def without_attack(self) -> DataSetPlan:
        """The same with no adversarial attacks; the other kinds keep their ratios, and so share what is left.

        Raises
        ------
        UsageError
            Nothing else is left to draw, or attacks were held back.
        """
        others = {name: weight for name, weight in self.kinds.items() if name != ADVERSARIAL_ATTACK}
        return replace(self, kinds=others)

    @property
    def phases(self) -> tuple[PhasePlan, ...]:
        """One or two."""
        first = PhasePlan(self.queries, round(self.queries * self.copies), self._kinds_of_phase1())
        if self.phase2_queries == 0:
            return (first,)
        return first, PhasePlan(self.phase2_queries, round(self.phase2_queries * self.copies), self.kinds)

    @property
    def needed(self) -> Mapping[str, int]:
        """How many photographs are needed for what."""
        parts = {"references": self.references, "training": self.training}
        for number, phase in enumerate(self.phases, 1):
            parts[f"distractors of phase {number}"] = phase.distractors
        return parts

    @property
    def photographs(self) -> int:
        """Photographs that are needed in all."""
        return sum(self.needed.values())

    @property
    def images(self) -> int:
        """Images that are made in all."""
        return self.references + self.training + self.queries + self.phase2_queries

    def _kinds_of_phase1(self) -> Frequencies:
        return {name: weight for name, weight in self.kinds.items() if name not in self.held_back}
