"""Running an entry on the images of a challenge, and checking the form of what it writes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ectype.challenge.running.conditions import Conditions, Inputs
from ectype.challenge.running.entry import Entry
from ectype.challenge.running.sandbox import STANDARD_ERROR, STANDARD_OUTPUT, Outcome, run_in_sandbox
from ectype.challenge.running.staging import Images, lay_out
from ectype.challenge.tracks import MOST_ROWS
from ectype.errors import ChallengeError, EvaluationError, SubmissionError
from ectype.evaluation import read_matches
from ectype.storage import check_folder_of, replacing, storage_error
from ectype.types import Match


@dataclass(frozen=True, slots=True)
class RunReport:
    """What is known of a run.

    Attributes
    ----------
    submission : str
        Path of the file that was written.
    queries, references, pairs : int
    seconds, seconds_per_query : float
        Of wall clock.
    peak_memory : int
        Bytes, of all processes together; as seen ten times a second.
    network : bool
        Whether it ran without the sandbox: with the network, and all the user may read.
    freeze : str or None
        Digest of the freeze that the entry was held against before.
    """

    submission: str
    queries: int
    references: int
    pairs: int
    seconds: float
    seconds_per_query: float
    peak_memory: int
    network: bool
    freeze: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return asdict(self)


def run_entry(
    entry: Entry, images: Images, conditions: Conditions, submission: str | Path, scratch: Path | None = None
) -> RunReport:
    """Run an entry and keep the submission that it writes, if its form is right.

    What it prints is kept beside the submission as ``<name>.stdout.txt`` and ``<name>.stderr.txt``, also if it fails.

    Parameters
    ----------
    entry : Entry
    images : Images
    conditions : Conditions
    submission : str or Path
        The CSV file to write.
    scratch : Path, optional
        Where the run may keep what it writes, and where images are laid out: as links if they lie on the same file
        system. By default the submission's folder.

    Raises
    ------
    ChallengeError
        The kernel refuses the sandbox, or an id can't be a file name.
    SubmissionError
        The entry fails, goes over a limit, or writes what is no submission.
    StorageError
        The disk refused.
    """
    submission = Path(submission)
    check_folder_of(submission)
    with temporary_folder(scratch or submission.absolute().parent) as room:
        inputs = Inputs(room / "queries", room / "references")
        lay_out(named_by_id(images.queries), inputs.queries, copy=conditions.network)
        lay_out(named_by_id(images.references), inputs.references, copy=conditions.network)
        run = room / "run"
        try:
            outcome = run_in_sandbox(entry, inputs, conditions, run)
        finally:
            for name in (STANDARD_OUTPUT, STANDARD_ERROR):
                if (run / name).exists():
                    _keep(run / name, submission.with_name(f"{submission.name}.{name}"))
        pairs = read_pairs(entry, outcome, images.queries, images.references)
        _keep(outcome.output, submission)
    return RunReport(
        submission=str(submission),
        queries=len(images.queries),
        references=len(images.references),
        pairs=len(pairs),
        seconds=outcome.seconds,
        seconds_per_query=outcome.seconds / len(images.queries),
        peak_memory=outcome.peak_memory,
        network=conditions.network,
    )


def named_by_id(files: Mapping[str, Path]) -> dict[str, Path]:
    """Files by the names that say their ids, such as ``Q00001.jpg``.

    Raises
    ------
    ChallengeError
        An id can't be a file name.
    """
    for name in files:
        if "/" in name or name.startswith("."):
            raise ChallengeError(f"the id {name!r} can't be the name of a file, as an entry needs it")
    return {f"{name}{path.suffix}": path for name, path in files.items()}


def read_pairs(entry: Entry, outcome: Outcome, queries: Collection[str], references: Collection[str]) -> list[Match]:
    """The pairs that a run wrote; they must be of the images it was given.

    Raises
    ------
    SubmissionError
        The file is no submission.
    """
    with open(outcome.output, encoding="utf-8", errors="replace") as file:
        rows = sum(1 for _ in file)  # before a hostile file fills the memory
    if rows > MOST_ROWS + 1:
        raise SubmissionError(f"{entry.folder}: its submission has more than {MOST_ROWS:,} rows")
    try:
        pairs = read_matches(outcome.output)
    except EvaluationError as error:
        words = str(error).replace(str(outcome.output), "its submission")
        raise SubmissionError(f"{entry.folder}: {words}") from None
    for pair in pairs:
        for what, name, known in (("query", pair.query_id, queries), ("reference", pair.reference_id, references)):
            if name not in known:
                raise SubmissionError(
                    f"{entry.folder}: its submission names the {what} {name!r}, which it was not given; "
                    "an id is the name of the file without its extension"
                )
    return pairs


@contextmanager
def temporary_folder(parent: Path) -> Iterator[Path]:
    """A folder for runs, which is removed afterwards.

    Raises
    ------
    StorageError
        The disk refused.
    """
    try:
        made = tempfile.TemporaryDirectory(prefix=".ectype-run-", dir=parent)
    except OSError as error:
        raise storage_error(parent, error) from error
    with made as folder:
        yield Path(folder).resolve()


def _keep(file: Path, goal: Path) -> None:
    with replacing(goal) as temporary:
        shutil.copyfile(file, temporary)
