"""From images, comparisons and decisions to the report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from ectype.duplicates.grouping import Component, group
from ectype.duplicates.originals import by_originality, why_original
from ectype.duplicates.records import ContentPair, Contradiction, DuplicateSet, FoundPair, HeldImage, Mark


class Summary:
    """Sets of copies, and what a person should look at.

    Parameters
    ----------
    images : sequence of HeldImage
    pairs : sequence of ContentPair
        Those of contents that no image has are left out.
    marks : sequence of Mark
        At most one for two contents; those of contents that no image has are left out.
    """

    def __init__(self, images: Sequence[HeldImage], pairs: Sequence[ContentPair], marks: Sequence[Mark]) -> None:
        self._owners: dict[str, list[HeldImage]] = defaultdict(list)
        for image in sorted(images, key=lambda image: image.id):
            self._owners[image.sha256].append(image)
        there = self._owners.keys()
        self._pairs = [pair for pair in pairs if pair.first in there and pair.second in there]
        self._marks = {mark.key: mark for mark in marks if mark.first in there and mark.second in there}
        self._components = group(there, self._pairs, self._marks.values())
        self._component_of = {
            content: number for number, one in enumerate(self._components) for content in one.contents
        }
        self._joining: dict[int, list[FoundPair]] = defaultdict(list)
        for content, pair in self._found_pairs():
            self._joining[self._component_of[content]].append(pair)

    def _found_pairs(self) -> Iterable[tuple[str, FoundPair]]:
        """What joins images, each with a content of the component that it is in."""
        for content, owners in self._owners.items():
            for other in owners[1:]:
                yield content, FoundPair(owners[0].id, other.id, 1.0, "bytes")
        for pair in self._pairs:
            if pair.decision == "copy" and pair.key not in self._marks:
                yield pair.first, FoundPair(*self._ids(pair), pair.score, "matcher")
        for mark in self._marks.values():
            if mark.verdict == "same":
                yield mark.first, FoundPair(*self._ids(mark), 1.0, "person")

    def _ids(self, pair: ContentPair | Mark) -> tuple[str, str]:
        one, other = sorted((self._owners[pair.first][0].id, self._owners[pair.second][0].id))
        return one, other

    def sets(self) -> tuple[DuplicateSet, ...]:
        """In the order of their originals' ids."""
        found = []
        for number, component in enumerate(self._components):
            members = by_originality(self._members(component))
            if len(members) > 1 and not component.chains:
                found.append(DuplicateSet(tuple(members), why_original(members), self._joined(number)))
        return tuple(sorted(found, key=lambda one: one.original.id))

    def contradictions(self) -> tuple[Contradiction, ...]:
        """In the order of their first images' ids."""
        found = [
            Contradiction(
                tuple(self._members(component)),
                tuple(tuple(self._owners[content][0].id for content in chain) for chain in component.chains),
                self._joined(number),
            )
            for number, component in enumerate(self._components)
            if component.chains
        ]
        return tuple(sorted(found, key=lambda one: one.members[0].id))

    def review(self) -> tuple[FoundPair, ...]:
        """Pairs that nobody decided on and nothing joins, from the highest score to the lowest."""
        found = [
            FoundPair(*self._ids(pair), pair.score, "matcher")
            for pair in self._pairs
            if pair.decision == "review"
            and pair.key not in self._marks
            and self._component_of[pair.first] != self._component_of[pair.second]
        ]
        return tuple(sorted(found, key=_by_score))

    def _members(self, component: Component) -> list[HeldImage]:
        owners = [image for content in component.contents for image in self._owners[content]]
        return sorted(owners, key=lambda image: image.id)

    def _joined(self, number: int) -> tuple[FoundPair, ...]:
        return tuple(sorted(self._joining[number], key=_by_score))


def _by_score(pair: FoundPair) -> tuple[float, str, str]:
    return -pair.score, pair.first_id, pair.second_id
