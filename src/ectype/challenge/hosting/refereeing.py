"""What a host records beside submissions: teams, their freezes, disqualifications, and refusals."""

from __future__ import annotations

from pathlib import Path

from ectype.challenge.freezing.freeze import Freeze, freeze_digest, write_freeze
from ectype.challenge.hosting.events import Disqualified, Frozen, Refused, Registered
from ectype.challenge.hosting.host import Host, freeze_file
from ectype.challenge.hosting.ledger import Writing
from ectype.challenge.hosting.rules import Refusal, why_not_freeze
from ectype.challenge.hosting.standing import standing_of
from ectype.errors import SubmissionError, UsageError
from ectype.storage import storage_error

_LONGEST_NAME = 60


def record_refusal(writing: Writing, team: str, digest: str, refusal: Refusal) -> None:
    """Record a refusal, if it is one of those that are kept."""
    if refusal.recorded:
        reason = refusal.reason.encode(errors="replace").decode()  # a file's name may be no Unicode
        writing.append(Refused(team, refusal.code, reason, digest))


def make_folder(path: Path) -> None:
    """Make a folder unless it is there.

    Raises
    ------
    StorageError
        The disk refuses.
    """
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise storage_error(path, error) from error


def record_freeze(host: Host, freeze: Freeze) -> str:
    """Record a team's freeze, which its submissions of phase 2 then name. The same freeze again changes nothing.

    Returns
    -------
    str
        The digest that names it.

    Raises
    ------
    SubmissionError
        The deadline has passed, or the team is unknown or disqualified.
    StorageError
        The disk refuses.
    """
    digest = freeze_digest(freeze)
    with host.ledger.writing() as writing:
        standing = standing_of(writing.entries)
        refusal = why_not_freeze(host.settings, standing, freeze.team, writing.now)
        if refusal is not None:
            record_refusal(writing, freeze.team, digest, refusal)
        elif digest not in {one.digest for one in standing.freezes}:  # it covers the team's name
            make_folder(freeze_file(host.folder, digest).parent)
            write_freeze(freeze_file(host.folder, digest), freeze)
            writing.append(Frozen(freeze.team, digest, freeze.references))
    if refusal is not None:
        raise SubmissionError(f"not recorded ({refusal.code}): {refusal.reason}")
    return digest


def register_team(host: Host, team: str, *, eligible: bool) -> None:
    """Enter a team.

    Raises
    ------
    UsageError
        The name is none, or is taken.
    StorageError
        The disk refuses.
    """
    if not team.strip() or not team.isprintable() or len(team) > _LONGEST_NAME:
        raise UsageError(f"a team's name is one line of at most {_LONGEST_NAME} characters, not {team!r}")
    with host.ledger.writing() as writing:
        if team in standing_of(writing.entries).teams:
            raise UsageError(f"a team {team!r} is registered already; choose another name")
        writing.append(Registered(team, eligible))


def disqualify(host: Host, team: str, reason: str, submission: int | None = None) -> None:
    """Take a team, or one of its submissions, out of the ranking. This can't be undone.

    Raises
    ------
    UsageError
        There is no such team or submission, it is disqualified already, or no reason is given.
    StorageError
        The disk refuses.
    """
    if not reason.strip():
        raise UsageError("a disqualification needs its reason")
    with host.ledger.writing() as writing:
        standing = standing_of(writing.entries)
        if team not in standing.teams:
            raise UsageError(f"no team {team!r} is registered; there are {', '.join(sorted(standing.teams)) or 'none'}")
        if submission is None:
            before = standing.teams[team].disqualified
        else:
            found = standing.submissions.get(submission)
            if found is None or found.team != team:
                own = [str(one.number) for one in standing.submissions.values() if one.team == team]
                raise UsageError(f"team {team!r} has no submission {submission}; it has {', '.join(own) or 'none'}")
            before = found.disqualified
        if before is not None:
            raise UsageError(f"it is disqualified already: {before}")
        writing.append(Disqualified(team, submission, reason))
