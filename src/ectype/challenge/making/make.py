"""Making a data set: a look at the photographs, their parts, and shard by shard every image; lists come last."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import ectype
from ectype.challenge.making.assignment import assign
from ectype.challenge.making.attack import AttackMaker, opened
from ectype.challenge.making.crew import Crew, crew
from ectype.challenge.making.frequencies import ADVERSARIAL_ATTACK
from ectype.challenge.making.lists import write_lists
from ectype.challenge.making.parts import Part, Workshop, parts_of
from ectype.challenge.making.plan import DataSetPlan
from ectype.challenge.making.report import MakeReport
from ectype.challenge.making.selection import listing_digest, select, too_few
from ectype.challenge.making.site import MADE, Arguments, Site
from ectype.descriptors.runtimes import available_cores
from ectype.errors import ChallengeError, UsageError
from ectype.images import ImageItem
from ectype.storage import write_json
from ectype.types import OnProgress


def make_dataset(
    root: str | Path,
    photographs: Sequence[ImageItem],
    plan: DataSetPlan,
    *,
    attack: AttackMaker | None = None,
    jobs: int | None = None,
    on_progress: OnProgress | None = None,
) -> MakeReport:
    """Make the data set of a challenge: references, queries, training images, and the lists that go with them.

    Every photograph plays one part. Half of the queries, or another share, are copies of references; the others are
    edited likewise, and copied from none. The same arguments give the same bytes, however many processes work. A run
    that was killed is completed by repeating it; on a data set that is whole, nothing is done.

    Parameters
    ----------
    root : str or Path
        A new folder, or the one that a killed run has begun.
    photographs : sequence of ImageItem
        See `find_photographs`.
    plan : DataSetPlan
    attack : callable, optional
        Makes the adversarial attack, such as `bundled_attack`; a function of a module, as other processes call it,
        too. Without it the share of attacks is spread over the other kinds, and the report says so.
    jobs : int, optional
        Processes; one for each core by default. They import the main module again, so that a script needs
        ``if __name__ == "__main__":`` around its call.
    on_progress : callable, optional
        Called with the number of photographs chosen and images made since the last call; `steps_of` says how many
        there will be.

    Returns
    -------
    MakeReport

    Raises
    ------
    UsageError
        The folder holds other files, or nothing but attacks is to be drawn and nothing can attack.
    ChallengeError
        There are too few photographs, the folder was begun or made with other arguments, or a process was ended.
    StorageError
        The disk refused. Finished shards are kept.
    """
    if jobs is not None and jobs < 1:
        raise UsageError(f"jobs must be 1 or more, not {jobs}")
    left_out = (ADVERSARIAL_ATTACK,) if attack is None and ADVERSARIAL_ATTACK in plan.kinds else ()
    if left_out:
        plan = plan.without_attack()
    if len(photographs) < plan.photographs:
        raise ChallengeError(too_few(f"{len(photographs):,} photographs", plan))
    fingerprint = opened(attack).fingerprint if attack is not None and ADVERSARIAL_ATTACK in plan.kinds else None
    arguments = _arguments(plan, photographs, fingerprint)
    site = Site(Path(root))
    if (report := site.report(arguments)) is not None:
        return report
    site.begin(arguments)
    tick = on_progress or (lambda count: None)
    with crew(jobs or available_cores()) as team:
        selection = select(photographs, plan, site, team, tick)
        _make_images(Workshop(plan, assign(plan), selection, attack), site, team, tick)
    lists = write_lists(site, parts_of(plan))
    report = MakeReport(
        references=plan.references,
        training=plan.training,
        phases=lists.phases,
        left_out=left_out,
        repeated=selection.repeated,
        skipped=selection.skipped,
    )
    write_json(site.prepared(MADE), {"arguments": arguments, "report": report.to_dict()})
    site.finish((MADE, *lists.names))
    return report


def steps_of(plan: DataSetPlan) -> int:
    """What the progress of `make_dataset` counts up to: photographs to choose and images to make."""
    return plan.photographs + plan.images


def _arguments(plan: DataSetPlan, photographs: Sequence[ImageItem], attack: str | None) -> Arguments:
    """All that decides the bytes, in the form in which JSON gives it back."""
    arguments = asdict(plan) | {
        "photographs": listing_digest(photographs),
        "attack": attack,
        "version of Ectype": ectype.__version__,
    }
    content: Arguments = json.loads(json.dumps(arguments))
    return content


def _make_images(workshop: Workshop, site: Site, team: Crew, tick: OnProgress) -> None:
    left: list[tuple[str, Part, range]] = []
    for part in parts_of(workshop.plan):
        folder = site.folder(part.folder)
        for name, images in part.shards():
            if site.intact_images(name, folder) is None:
                left.append((name, part, images))
            else:
                tick(len(images))
    tasks = (workshop.task(part, images, site.folder(part.folder)) for _, part, images in left)
    for (name, _, _), made in zip(left, team.results(tasks), strict=True):
        site.keep(name, made)
        tick(len(made))
