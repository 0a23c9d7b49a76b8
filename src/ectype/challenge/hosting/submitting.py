"""Submitting: the rules are checked, the file is validated, kept, counted and scored.

A submission is counted in the transaction that checks its limit, and scored afterwards, since that can take long. When
scoring is cut short, submitting the same file again completes it, at no cost.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from ectype.challenge.digests import sha256_of_file
from ectype.challenge.freezing.reference_digest import reference_digest
from ectype.challenge.hosting.events import Accepted, Score, Scored
from ectype.challenge.hosting.host import Host, submission_file
from ectype.challenge.hosting.labels import split_labels
from ectype.challenge.hosting.ledger import Writing
from ectype.challenge.hosting.phases import Allowance, allowance, state_at
from ectype.challenge.hosting.refereeing import make_folder, record_refusal
from ectype.challenge.hosting.rules import Attempt, Refusal, ruling, same_file
from ectype.challenge.hosting.settings import PhaseNumber, as_utc_text
from ectype.challenge.hosting.standing import Submission, standing_of
from ectype.challenge.manifest import Manifest
from ectype.challenge.scoring import submission_matches
from ectype.challenge.tracks import track_of
from ectype.challenge.validation import validate_submission
from ectype.errors import ChallengeError, SubmissionError
from ectype.evaluation import Evaluation, GroundTruth, evaluate
from ectype.storage import replacing
from ectype.types import OnProgress


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a team learns of its submission.

    Attributes
    ----------
    submission : Submission
        As far as the team may know it: without the score on hidden labels, and in phase 2 without any.
    left : Allowance
        What the team may still submit in the track, now.
    """

    submission: Submission
    left: Allowance

    def to_dict(self) -> dict[str, object]:
        """As JSON values."""
        one = self.submission
        return {
            "submission": one.number,
            "team": one.team,
            "track": one.track,
            "phase": one.phase,
            "time": as_utc_text(one.time),
            "sha256": one.sha256,
            "freeze": one.freeze,
            "score": None if one.score is None else asdict(one.score),
            "left": asdict(self.left),
        }


def submit(
    host: Host, path: Path, team: str, freeze: str | None = None, on_progress: OnProgress | None = None
) -> Receipt:
    """Take a team's submission.

    Parameters
    ----------
    host : Host
    path : Path
        A matching or descriptor submission; the content tells which.
    team : str
    freeze : str, optional
        Digest of the freeze of the entry that made it; needed in phase 2.
    on_progress : callable, optional
        Called for descriptors, with the hundredths of the scoring that are finished since the last call.

    Raises
    ------
    SubmissionError
        The file is invalid, the rules refuse it, or it was submitted before. Refusals are recorded.
    ChallengeError
        The ledger is damaged, or its last event is later than the clock.
    StorageError
        The disk refuses.
    """
    attempt = Attempt(team, track_of(path), sha256_of_file(path), freeze)
    number = _cut_short(host, attempt)
    if number is None:
        with _allowed(host, attempt) as (_, phase):
            pass  # so that no work is done for what is refused anyway
        with _kept(host, path, attempt.sha256) as kept:
            attempt = _checked(host, attempt, kept, host.manifest(phase))
        with _allowed(host, attempt) as (writing, phase):
            number = writing.append(Accepted(team, attempt.track, phase, attempt.sha256, freeze)).number
    _score(host, number, on_progress)
    return _receipt(host, number)


def _cut_short(host: Host, attempt: Attempt) -> int | None:
    """The number of the team's submission of the same file, if its scoring was cut short."""
    earlier = same_file(host.standing(), attempt, state_at(host.settings, host.ledger.now()).phase)
    return earlier.number if earlier is not None and earlier.score is None else None


@contextmanager
def _allowed(host: Host, attempt: Attempt) -> Iterator[tuple[Writing, PhaseNumber]]:
    """A transaction in which the rules allow an attempt, and the phase it is for; a refusal is recorded and raised."""
    with host.ledger.writing() as writing:
        found = ruling(host.settings, standing_of(writing.entries), attempt, writing.now)
        if not isinstance(found, Refusal):
            yield writing, found
            return
        record_refusal(writing, attempt.team, attempt.sha256, found)
    raise SubmissionError(f"not accepted ({found.code}): {found.reason}")


@contextmanager
def _kept(host: Host, path: Path, sha256: str) -> Iterator[Path]:
    """A copy of a file under its digest, which stays if what is done with it succeeds."""
    target = submission_file(host.folder, sha256)
    make_folder(target.parent)
    if target.exists():
        if sha256_of_file(target) != sha256:
            raise ChallengeError(f"{target}: is damaged; remove it, and submit again")
        yield target
        return
    with replacing(target) as temporary:
        shutil.copyfile(path, temporary)
        if sha256_of_file(temporary) != sha256:
            raise SubmissionError(f"{path}: was changed while it was read; submit it again")
        yield temporary


def _checked(host: Host, attempt: Attempt, kept: Path, manifest: Manifest) -> Attempt:
    """The attempt with the digest of its reference vectors; a file that is invalid is recorded as refused."""
    try:
        validate_submission(kept, manifest).raise_if_invalid("not accepted (invalid)")
    except SubmissionError as error:
        with host.ledger.writing() as writing:
            record_refusal(writing, attempt.team, attempt.sha256, Refusal("invalid", str(error)))
        raise
    return replace(attempt, references=reference_digest(kept)) if attempt.track == "descriptor" else attempt


def _score(host: Host, number: int, on_progress: OnProgress | None) -> None:
    submission = host.standing().submissions[number]
    file, truth = submission_file(host.folder, submission.sha256), host.truth(submission.phase)
    parts: tuple[GroundTruth, ...] = (truth,)
    if submission.phase == 1:
        parts = split_labels(truth, host.settings.public_share, host.settings.salt)
    matches = submission_matches(file, truth, on_progress=on_progress)
    score, *hidden = (_figures(evaluate(matches, part)) for part in parts)
    with host.ledger.writing() as writing:
        if standing_of(writing.entries).submissions[number].score is None:  # else another process was quicker
            writing.append(Scored(number, score, hidden[0] if hidden else None))


def _figures(found: Evaluation) -> Score:
    return Score(found.micro_average_precision, found.recall_at_p90)


def _receipt(host: Host, number: int) -> Receipt:
    standing = host.standing()
    submission = standing.submissions[number]
    phase = host.settings.phase(submission.phase)
    times = [one.time for one in standing.submissions_of(submission.team, submission.phase, submission.track)]
    shown = replace(submission, score=submission.score if submission.phase == 1 else None, hidden=None)
    return Receipt(shown, allowance(phase, times, host.ledger.now()))
