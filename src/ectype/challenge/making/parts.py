"""The parts of a data set, and the shards in which they are made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ectype.challenge.making.assignment import Assignment, reference_id, training_id
from ectype.challenge.making.attack import AttackMaker
from ectype.challenge.making.pictures import PhotographTask
from ectype.challenge.making.plan import DataSetPlan
from ectype.challenge.making.queries import MOST_MATERIALS, Drawing, QueryTask
from ectype.challenge.making.selection import Selection
from ectype.challenge.manifest import Role

IMAGES_A_SHARD = 64
"""Images that a killed run may have to make again, for each process."""

ImageTask = PhotographTask | QueryTask


@dataclass(frozen=True, slots=True)
class Part:
    """The images of one role in one phase.

    Attributes
    ----------
    role : {"reference", "query", "training"}
    phase : int
        In which they are handed out first.
    folder : str
        Below the data set's, with forward slashes.
    size : int
        Images.
    """

    role: Role
    phase: int
    folder: str
    size: int

    def shards(self) -> Iterator[tuple[str, range]]:
        """Name and images of each shard."""
        for start in range(0, self.size, IMAGES_A_SHARD):
            yield (
                f"{self.folder.replace('/', '-')}-{start:09}",
                range(start, min(start + IMAGES_A_SHARD, self.size)),
            )


def parts_of(plan: DataSetPlan) -> list[Part]:
    """The parts of a data set, references first."""
    first, *later = plan.phases
    return [
        Part("reference", 1, "references", plan.references),
        Part("query", 1, "queries", first.queries),
        Part("training", 1, "training", plan.training),
        *(Part("query", 2, "phase2/queries", phase.queries) for phase in later),
    ]


@dataclass(frozen=True, slots=True)
class Workshop:
    """Turns shards into tasks.

    Attributes
    ----------
    plan : DataSetPlan
    assignment : Assignment
    selection : Selection
    attack : callable, or None
        Makes the adversarial attack.
    """

    plan: DataSetPlan
    assignment: Assignment
    selection: Selection
    attack: AttackMaker | None

    def task(self, part: Part, images: range, folder: Path) -> ImageTask:
        """The task that makes a shard's images in a folder."""
        if part.role == "query":
            return self._queries(part.phase, images, folder)
        is_reference = part.role == "reference"
        places = self.assignment.references if is_reference else self.assignment.training
        name: Callable[[int], str] = reference_id if is_reference else training_id
        items = tuple(self.selection.items[places[number]] for number in images)
        return PhotographTask(folder, tuple(map(name, images)), items)

    def _queries(self, phase: int, images: range, folder: Path) -> QueryTask:
        sources = self.assignment.queries[phase - 1][images.start : images.stop]
        items, digests = self.selection.items, self.selection.digests
        # No reference is pasted into another query: it would be a copy that the ground truth does not know.
        others = self.assignment.training or self.assignment.distractors[phase - 1]
        return QueryTask(
            folder,
            sources,
            tuple(items[source.photograph] for source in sources),
            tuple(digests[source.photograph] for source in sources),
            Drawing(
                self.plan.seed,
                self.plan.phases[phase - 1].kinds,
                tuple(items[place] for place in others[:MOST_MATERIALS]),
                self.attack,
            ),
        )
