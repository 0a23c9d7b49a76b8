"""From pairs to sets: connected components, minus what a person decided to be different."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ectype.duplicates.records import ContentPair, Mark

Links = Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Component:
    """Contents that are joined by pairs.

    Attributes
    ----------
    contents : frozenset of str
    chains : tuple of tuple of str
        For each of a person's "different" that is contradicted: the shortest way between the two contents. A set of
        copies has none.
    """

    contents: frozenset[str]
    chains: tuple[tuple[str, ...], ...]


def group(contents: Iterable[str], pairs: Iterable[ContentPair], marks: Iterable[Mark]) -> list[Component]:
    """Put contents into sets of copies.

    Two contents are linked if the matcher takes them for copies or a person marked them "same", unless a person marked
    them "different". A set is what links join, directly or through others. Where that joins two contents that a person
    marked "different", the component says so: which of its links is wrong, only a person can tell.

    Parameters
    ----------
    contents : iterable of str
        Pairs and marks of others are left out.
    pairs : iterable of ContentPair
    marks : iterable of Mark
        At most one for two contents.

    Returns
    -------
    list of Component
        Each content is in exactly one, whatever the order of the arguments; components of one content are left in.
    """
    decided = {mark.key: mark.verdict for mark in marks}
    linked = {pair.key for pair in pairs if pair.decision == "copy"}
    linked |= {key for key, verdict in decided.items() if verdict == "same"}
    apart = sorted(key for key, verdict in decided.items() if verdict == "different")
    links = _links(contents, linked.difference(apart))
    components: list[frozenset[str]] = []
    component_of: dict[str, int] = {}
    for content in sorted(links):
        if content not in component_of:
            joined = frozenset(_distances(content, links))
            component_of |= dict.fromkeys(joined, len(components))
            components.append(joined)
    chains: dict[int, list[tuple[str, ...]]] = {}
    for first, second in apart:
        if first in links and component_of[first] == component_of.get(second):
            chains.setdefault(component_of[first], []).append(_shortest_way(first, second, links))
    return [Component(joined, tuple(chains.get(number, ()))) for number, joined in enumerate(components)]


def _links(contents: Iterable[str], linked: Iterable[tuple[str, str]]) -> Links:
    neighbours: dict[str, set[str]] = {content: set() for content in contents}
    for first, second in linked:
        if first in neighbours and second in neighbours:
            neighbours[first].add(second)
            neighbours[second].add(first)
    return {content: frozenset(others) for content, others in neighbours.items()}


def _distances(start: str, links: Links) -> dict[str, int]:
    """How many links away each content is that can be reached."""
    distances, waiting = {start: 0}, deque([start])
    while waiting:
        content = waiting.popleft()
        for other in links[content]:
            if other not in distances:
                distances[other] = distances[content] + 1
                waiting.append(other)
    return distances


def _shortest_way(start: str, end: str, links: Links) -> tuple[str, ...]:
    """The first in alphabetical order of the shortest ways from one content to another."""
    distances, way = _distances(end, links), [start]
    while way[-1] != end:
        way.append(min(links[way[-1]], key=lambda content: (distances[content], content)))
    return tuple(way)
