"""An audit: the frozen command again, on the same images in other company, under other names and in another order."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable, Mapping
from pathlib import Path

from ectype.challenge.auditing.comparing import Scores, compare
from ectype.challenge.auditing.probes import AuditSettings, Probe, partial_probes, whole
from ectype.challenge.auditing.report import AuditReport, ProbeResult
from ectype.challenge.running.conditions import Conditions, Inputs
from ectype.challenge.running.entry import Entry
from ectype.challenge.running.run import read_pairs, run_entry, temporary_folder
from ectype.challenge.running.sandbox import run_in_sandbox
from ectype.challenge.running.staging import Images, lay_out
from ectype.errors import EvaluationError, SubmissionError
from ectype.evaluation import read_matches
from ectype.types import OnProgress

_TIME_OF_CHANGE = 1_600_000_000  # of every image; seconds since 1970


def audit_entry(
    entry: Entry,
    images: Images,
    conditions: Conditions,
    settings: AuditSettings,
    scratch: Path,
    submission: Path | None = None,
    on_progress: OnProgress = lambda count: None,
) -> AuditReport:
    """Run an entry many times, and compare what it says of the same pairs.

    The images are copied once, in a drawn order; every run is given links to these copies, under drawn names, all with
    one time of change, and a home and temporary folders of its own.

    Parameters
    ----------
    entry : Entry
    images : Images
    conditions : Conditions
        Of every run.
    settings : AuditSettings
    scratch : Path
        A folder with space for a copy of the images.
    submission : Path, optional
        What the entry wrote for these images under their true names; it is run with them if none is given.
    on_progress : callable, optional
        Is called with 1 after each of `number_of_runs`.

    Raises
    ------
    ChallengeError
        The kernel refuses the sandbox.
    SubmissionError
        The entry fails on the whole of the images, or the given submission is none of theirs.
    StorageError
        The disk refused.
    """
    with temporary_folder(scratch) as room:
        if submission is None:
            submission = room / "submission.csv"
            run_entry(entry, images, conditions, submission)
            on_progress(1)
        in_submission = _scores_of_submission(submission, images)
        runs = _Runs(entry, _pool(images, room, settings.seed), conditions, settings.seed, room)
        full = whole("all", sorted(images.queries), sorted(images.references))
        among_all = runs.scores(full)
        on_progress(1)
        names = whole("names", full.queries, full.references)
        results = [ProbeResult(full, names, compare(among_all, in_submission, names, settings.tolerance))]
        answered = sorted({query for query, _ in among_all})
        same = [whole(kind, full.queries, full.references) for kind in ("repeat", "order")]
        for probe in (*same, *partial_probes(full, answered, settings)):
            try:
                comparison = compare(among_all, runs.scores(probe), probe, settings.tolerance)
                results.append(ProbeResult(full, probe, comparison))
            except SubmissionError as error:
                results.append(ProbeResult(full, probe, None, failure=str(error)))
            on_progress(1)
    return AuditReport(
        entry=str(entry.folder),
        settings=settings,
        queries=len(full.queries),
        references=len(full.references),
        pairs=len(among_all),
        network=conditions.network,
        results=tuple(results),
    )


def number_of_runs(images: Images, settings: AuditSettings, *, with_submission: bool) -> int:
    """How often an audit runs the entry."""
    single = min(settings.singles, len(images.queries))
    chunks = min(settings.chunks, len(images.references))
    return 3 + (not with_submission) + settings.subsets + single + chunks


def _scores_of_submission(path: Path, images: Images) -> Scores:
    try:
        scores = {(match.query_id, match.reference_id): match.score for match in read_matches(path)}
    except EvaluationError as error:
        raise SubmissionError(str(error)) from None
    for query, reference in scores:
        if query not in images.queries or reference not in images.references:
            raise SubmissionError(
                f"{path}: the pair {query}, {reference} is none of the given images; "
                "a submission is audited with the images it was made for"
            )
    return scores


def _pool(images: Images, room: Path, seed: int) -> Images:
    """Copies of the images with one time of change; the originals stay untouched whatever an entry does."""
    return Images(
        _copied(images.queries, room / "all-queries", seed),
        _copied(images.references, room / "all-references", seed),
    )


def _copied(files: Mapping[str, Path], folder: Path, seed: int) -> dict[str, Path]:
    order = random.Random(f"{seed}: {folder.name}").sample(sorted(files), len(files))  # noqa: S311  # to be repeated
    names = {image: f"{number}{files[image].suffix}" for number, image in enumerate(order)}
    lay_out({names[image]: files[image] for image in order}, folder, copy=True)
    for name in names.values():
        os.utime(folder / name, (_TIME_OF_CHANGE, _TIME_OF_CHANGE))
    return {image: folder / name for image, name in names.items()}


class _Runs:
    """The runs of one audit."""

    def __init__(self, entry: Entry, pool: Images, conditions: Conditions, seed: int, room: Path) -> None:
        self._entry, self._pool, self._conditions, self._seed, self._room = entry, pool, conditions, seed, room

    def scores(self, probe: Probe) -> Scores:
        """Run the entry on the images of a probe; the pairs it finds, by their true ids.

        Raises
        ------
        SubmissionError
            The entry fails, or writes what is no submission.
        """
        with temporary_folder(self._room) as folder:
            inputs = Inputs(folder / "queries", folder / "references")
            queries = self._lay_out(probe, probe.queries, self._pool.queries, inputs.queries)
            references = self._lay_out(probe, probe.references, self._pool.references, inputs.references)
            outcome = run_in_sandbox(self._entry, inputs, self._conditions, folder / "run")
            pairs = read_pairs(self._entry, outcome, queries, references)
        return {(queries[pair.query_id], references[pair.reference_id]): pair.score for pair in pairs}

    def _lay_out(self, probe: Probe, ids: Iterable[str], pool: Mapping[str, Path], folder: Path) -> dict[str, str]:
        """Make the folder of a run; its images' true ids by the drawn ones."""
        names = probe.drawn_names([(image, pool[image]) for image in ids], self._seed)
        lay_out({name: pool[image] for image, name in names.items()}, folder)
        return {Path(name).stem: image for image, name in names.items()}
