"""Choosing the photographs that are used: in an order drawn by chance, those that can be read and are new."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ectype.challenge.making.crew import Crew
from ectype.challenge.making.photographs import Glance, GlanceTask
from ectype.challenge.making.plan import DataSetPlan
from ectype.challenge.making.site import Site
from ectype.errors import ChallengeError
from ectype.images import ImageItem
from ectype.types import OnProgress, SkippedImage

PHOTOGRAPHS_A_SHARD = 128

_STREAM = 0  # of chance; see `assignment`


@dataclass(frozen=True, slots=True)
class Selection:
    """The photographs that are used, in their drawn order.

    Attributes
    ----------
    items : tuple of ImageItem
    digests : tuple of str
        SHA-256 of each file; all differ.
    repeated : int
        Photographs that were passed over since one with the same bytes is used.
    skipped : tuple of SkippedImage
        Photographs that were passed over since they can't be read.
    """

    items: tuple[ImageItem, ...]
    digests: tuple[str, ...]
    repeated: int
    skipped: tuple[SkippedImage, ...]


def select(items: Sequence[ImageItem], plan: DataSetPlan, site: Site, team: Crew, on_progress: OnProgress) -> Selection:
    """Look at photographs until there are as many as the plan needs.

    Parameters
    ----------
    items : sequence of ImageItem
    plan : DataSetPlan
    site : Site
        Keeps what was seen.
    team : Crew
    on_progress : callable
        Called with the number of photographs chosen since the last call.

    Raises
    ------
    ChallengeError
        There are too few; the message says how many are needed for what.
    """
    order = np.random.default_rng([plan.seed, _STREAM]).permutation(len(items)).tolist()
    chosen: dict[str, ImageItem] = {}
    skipped, repeated = list[SkippedImage](), 0
    for item, glance in _glances([items[place] for place in order], site, team):
        if len(chosen) == plan.photographs:
            break
        if glance.code:
            skipped.append(SkippedImage(item.id, item.location, glance.code, glance.reason))
        elif glance.sha256 in chosen:
            repeated += 1
        else:
            chosen[glance.sha256] = item
            on_progress(1)
    if len(chosen) < plan.photographs:
        found = f"{len(items):,} photographs, {repeated:,} of them repeated and {len(skipped):,} unreadable,"
        raise ChallengeError(too_few(found, plan))
    return Selection(tuple(chosen.values()), tuple(chosen), repeated, tuple(skipped))


def too_few(found: str, plan: DataSetPlan) -> str:
    """The message for too few photographs, or none at all."""
    needed = ", ".join(f"{count:,} for {part}" for part, count in plan.needed.items() if count)
    return (
        f"{found} are too few: {plan.photographs:,} are needed, {needed} (copies are made of references); "
        "give more photographs, or make fewer images"
    )


def listing_digest(items: Sequence[ImageItem]) -> str:
    """A digest of which photographs were given, and of their files' sizes and times of change."""
    digest = hashlib.sha256()
    for item in items:
        digest.update(json.dumps([item.location, item.span, _state(item)]).encode())
    return digest.hexdigest()


def _state(item: ImageItem) -> list[object]:
    if item.content is not None:
        return [hashlib.sha256(item.content).hexdigest()]
    try:
        found = os.stat(item.file or item.location)
    except OSError:  # it will be a row of the skip report
        return []
    return [found.st_size, found.st_mtime_ns]


def _glances(items: Sequence[ImageItem], site: Site, team: Crew) -> Iterator[tuple[ImageItem, Glance]]:
    starts = range(0, len(items), PHOTOGRAPHS_A_SHARD)
    tasks = [GlanceTask(tuple(items[start : start + PHOTOGRAPHS_A_SHARD])) for start in starts]
    for number, task in enumerate(tasks):  # what a killed run has finished is a first part, since it went in order
        kept = site.glances(_name(number))
        if kept is None:
            break
        yield from zip(task.items, kept, strict=True)
    else:
        return
    for later, seen in enumerate(team.results(tasks[number:]), number):
        site.keep(_name(later), seen)
        yield from zip(tasks[later].items, seen, strict=True)


def _name(number: int) -> str:
    return f"glances-{number:07}"
