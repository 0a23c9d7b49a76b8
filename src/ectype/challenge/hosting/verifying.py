"""Verifying a ledger: its chain, its head, and the files that it names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ectype.challenge.digests import sha256_of_file
from ectype.challenge.freezing.freeze import freeze_digest, read_freeze
from ectype.challenge.hosting.chain import START, entries_of
from ectype.challenge.hosting.host import freeze_file, submission_file
from ectype.challenge.hosting.ledger import LEDGER_FILE, Ledger
from ectype.challenge.hosting.opening import changes_since
from ectype.challenge.hosting.settings import SettingsFile
from ectype.challenge.hosting.standing import Standing, standing_of
from ectype.errors import ChallengeError


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found.

    Attributes
    ----------
    events : int
    head : str
        Digest of the last event; who publishes it lets everyone check that nothing before it is changed later.
    given_times : int
        How many events have a time that was given, not read from the clock.
    problems : tuple of str
        A sentence each; none if all is as it was recorded.
    """

    events: int
    head: str
    given_times: int
    problems: tuple[str, ...]


def verify_challenge(folder: Path, published_head: str | None = None) -> Verification:
    """Check that a challenge is as it was recorded.

    The chain must be whole, settings and data must be those of the opening, and the files of submissions and freezes
    must be there unchanged.

    Parameters
    ----------
    folder : Path
    published_head : str, optional
        A head that was published at some time: the ledger must still contain it. Without one, a ledger that was cut at
        its end, or written anew as a whole, can't be told from a true one.

    Raises
    ------
    ChallengeError
        There is no ledger.
    """
    path = folder / LEDGER_FILE
    if not path.is_file():
        raise ChallengeError(f"{path}: there is no such file; `ectype challenge open {folder}` makes it")
    with Ledger(path) as ledger:
        rows = ledger.rows()
    problems = []
    given_times = 0
    if published_head is not None and published_head not in {row.digest for row in rows}:
        problems.append(f"the published head {published_head} is not in the ledger: events were removed or changed")
    try:
        standing = standing_of(entries_of(rows))
    except ChallengeError as error:
        problems.append(str(error))
    else:
        given_times = standing.given_times
        problems += [*_changed_settings(folder, standing), *_changed_files(folder, standing)]
    return Verification(len(rows), rows[-1].digest if rows else START, given_times, tuple(problems))


def _changed_settings(folder: Path, standing: Standing) -> list[str]:
    if standing.opened is None:
        return ["the challenge was never opened"]
    try:
        return changes_since(standing.opened, folder, SettingsFile(folder).settings())
    except ChallengeError as error:
        return [str(error)]


def _changed_files(folder: Path, standing: Standing) -> list[str]:
    problems = []
    for one in standing.submissions.values():
        file = submission_file(folder, one.sha256)
        try:
            if sha256_of_file(file) != one.sha256:
                problems.append(f"submission {one.number}: {file} has other content")
        except ChallengeError as error:
            problems.append(f"submission {one.number}: {error}")
    for freeze in standing.freezes:
        file = freeze_file(folder, freeze.digest)
        try:
            if freeze_digest(read_freeze(file)) != freeze.digest:
                problems.append(f"freeze of team {freeze.team!r}: {file} has other content")
        except ChallengeError as error:
            problems.append(f"freeze of team {freeze.team!r}: {error}")
    return problems
