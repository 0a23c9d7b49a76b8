"""The lists of a data set, which are written when every image is there: recipes, ground truth, manifests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ectype.challenge.making.parts import Part
from ectype.challenge.making.pictures import MadeImage
from ectype.challenge.making.queries import kinds_of
from ectype.challenge.making.records import QueryRecord
from ectype.challenge.making.report import PhaseReport
from ectype.challenge.making.site import MANIFEST, Site
from ectype.challenge.manifest import ManifestEntry, write_manifest
from ectype.evaluation import GroundTruth, write_ground_truth
from ectype.storage import replacing

MANIFEST_PHASE2 = "manifest-phase2.csv"


@dataclass(frozen=True, slots=True)
class Lists:
    """Lists that are written, in the order in which they must take their places, and what they tell of each phase."""

    names: tuple[str, ...]
    phases: tuple[PhaseReport, ...]


def write_lists(site: Site, parts: Iterable[Part]) -> Lists:
    """Write the lists of a data set, to be moved by `Site.finish`; the manifest that tells it is whole is the last.

    Parameters
    ----------
    site : Site
        All shards of the parts are finished.
    parts : iterable of Part

    Raises
    ------
    StorageError
        The disk refused.
    """
    parts = list(parts)
    names, phases = list[str](), list[PhaseReport]()
    for part in parts:
        if part.role == "query":
            below = part.folder.removesuffix("queries")
            names += [f"{below}recipes.jsonl", f"{below}ground_truth.csv"]
            phases.append(_write_phase(site, part, *names[-2:]))
    if len(phases) > 1:
        names.append(MANIFEST_PHASE2)
        later = (part for part in parts if part.role == "reference" or part.phase == 2)
        write_manifest(site.prepared(MANIFEST_PHASE2), _entries(site, later))
    write_manifest(site.prepared(MANIFEST), _entries(site, (part for part in parts if part.phase == 1)))
    return Lists((*names, MANIFEST), tuple(phases))


def _write_phase(site: Site, part: Part, recipes: str, truth: str) -> PhaseReport:
    queries, pairs, kinds = set[str](), set[tuple[str, str]](), Counter[str]()
    with replacing(site.prepared(recipes)) as temporary, open(temporary, "w", encoding="utf-8") as file:
        for image in _images(site, part):
            file.write(image.record + "\n")
            record = QueryRecord.from_json(image.record)
            kinds.update(kinds_of(record))
            queries.add(record.query_id)
            if record.reference_id:
                pairs.add((record.query_id, record.reference_id))
    write_ground_truth(site.prepared(truth), GroundTruth(frozenset(queries), frozenset(pairs)))
    return PhaseReport(len(queries), len(pairs), dict(kinds.most_common()))


def _entries(site: Site, parts: Iterable[Part]) -> Iterator[ManifestEntry]:
    for part in parts:
        for image in _images(site, part):
            yield ManifestEntry(part.role, image.id, f"{part.folder}/{image.id}.jpg", image.bytes, image.sha256)


def _images(site: Site, part: Part) -> Iterator[MadeImage]:
    for name, _ in part.shards():
        yield from site.images(name) or ()
