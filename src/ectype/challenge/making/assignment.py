"""Which photograph plays which part."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ectype.challenge.making.plan import DataSetPlan

_STREAM = 1  # of chance: the order of photographs is drawn from 0, each query from 2
_FEWEST_DIGITS = 6


@dataclass(frozen=True, slots=True)
class QuerySource:
    """Where a query comes from.

    Attributes
    ----------
    number : int
        Of the query, over both phases.
    id : str
    photograph : int
        Place of its photograph among those that are used.
    reference_id : str
        Of the reference it is a copy of; empty for a distractor.
    """

    number: int
    id: str
    photograph: int
    reference_id: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """Which photograph plays which part: places among the photographs that are used, in their drawn order.

    Attributes
    ----------
    references, training : range
    distractors : tuple of range
        One for each phase.
    queries : tuple of tuple of QuerySource
        One for each phase, in the order of ids, which says nothing of what is a copy.
    """

    references: range
    training: range
    distractors: tuple[range, ...]
    queries: tuple[tuple[QuerySource, ...], ...]


def assign(plan: DataSetPlan) -> Assignment:
    """Give every photograph one part. The sources of copies are references, each used once as long as there are enough.

    Parameters
    ----------
    plan : DataSetPlan
    """
    rng = np.random.default_rng([plan.seed, _STREAM])
    references = range(plan.references)
    training = range(references.stop, references.stop + plan.training)
    copies = sum(phase.copies for phase in plan.phases)
    rounds = -(-copies // plan.references)
    sources = iter(np.concatenate([rng.permutation(plan.references) for _ in range(max(1, rounds))]).tolist())
    first, first_number = training.stop, 0
    distractors, queries = [], []
    for phase in plan.phases:
        others = range(first, first + phase.distractors)
        drawn = [(next(sources), True) for _ in range(phase.copies)] + [(place, False) for place in others]
        queries.append(
            tuple(
                QuerySource(number, query_id(number), drawn[place][0], reference_id(drawn[place][0]) * drawn[place][1])
                for number, place in enumerate(rng.permutation(phase.queries).tolist(), first_number)
            )
        )
        distractors.append(others)
        first, first_number = others.stop, first_number + phase.queries
    return Assignment(references, training, tuple(distractors), tuple(queries))


def query_id(number: int) -> str:
    """``Q000000`` and so on."""
    return f"Q{number:0{_FEWEST_DIGITS}}"


def reference_id(number: int) -> str:
    """``R000000`` and so on."""
    return f"R{number:0{_FEWEST_DIGITS}}"


def training_id(number: int) -> str:
    """``T000000`` and so on."""
    return f"T{number:0{_FEWEST_DIGITS}}"
