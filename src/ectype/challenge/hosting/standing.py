"""How things stand after some events: teams, freezes and submissions. Read from the ledger and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from ectype.challenge.hosting.events import (
    Accepted,
    Disqualified,
    Entry,
    Frozen,
    Opened,
    Refused,
    Registered,
    Score,
    Scored,
)
from ectype.challenge.hosting.settings import PhaseNumber
from ectype.challenge.tracks import Track
from ectype.errors import ChallengeError


@dataclass(frozen=True, slots=True)
class Team:
    """A team that entered.

    Attributes
    ----------
    name : str
    eligible : bool
        For prizes.
    disqualified : str or None
        The reason.
    """

    name: str
    eligible: bool
    disqualified: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedFreeze:
    """An entry that a team froze in time: digests of the freeze, and of the reference vectors if it has any."""

    team: str
    digest: str
    references: str | None
    time: datetime


@dataclass(frozen=True, slots=True)
class Submission:
    """A submission that was accepted.

    Attributes
    ----------
    number : int
        Of its event in the ledger.
    team : str
    track : {"matching", "descriptor"}
    phase : {1, 2}
    time : datetime
    sha256 : str
        Of the file.
    freeze : str or None
    score : Score or None
        On the public labels in phase 1, on all in phase 2; None while it is not scored.
    hidden : Score or None
        On the hidden labels, in phase 1.
    disqualified : str or None
        The reason.
    """

    number: int
    team: str
    track: Track
    phase: PhaseNumber
    time: datetime
    sha256: str
    freeze: str | None
    score: Score | None = None
    hidden: Score | None = None
    disqualified: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a challenge stands.

    Attributes
    ----------
    opened : Opened or None
    teams : mapping of str to Team
    freezes : tuple of RecordedFreeze
    submissions : mapping of int to Submission
    refusals : tuple of Refused
    given_times : int
        How many events have a time that was given, not read from the clock.
    """

    opened: Opened | None
    teams: Mapping[str, Team]
    freezes: tuple[RecordedFreeze, ...]
    submissions: Mapping[int, Submission]
    refusals: tuple[Refused, ...]
    given_times: int

    def submissions_of(self, team: str, phase: PhaseNumber, track: Track) -> list[Submission]:
        """A team's accepted submissions of a phase and track, in order."""
        found = (team, phase, track)
        return [one for one in self.submissions.values() if (one.team, one.phase, one.track) == found]

    @property
    def unscored(self) -> list[Submission]:
        """Submissions whose scoring was cut short."""
        return [one for one in self.submissions.values() if one.score is None]


def standing_of(entries: Iterable[Entry]) -> Standing:
    """How a challenge stands after all of `entries`, in their order.

    Raises
    ------
    ChallengeError
        An entry names a team or a submission that is not there.
    """
    builder = _Builder()
    for entry in entries:
        try:
            builder.add(entry)
        except KeyError as error:
            raise ChallengeError(
                f"row {entry.number} of the ledger names {error}, which no row before it brought in; it was made up"
            ) from error
    return builder.standing()


class _Builder:
    def __init__(self) -> None:
        self._opened: Opened | None = None
        self._teams: dict[str, Team] = {}
        self._freezes: list[RecordedFreeze] = []
        self._submissions: dict[int, Submission] = {}
        self._refusals: list[Refused] = []
        self._given_times = 0

    def add(self, entry: Entry) -> None:
        self._given_times += entry.time_given
        match entry.event:
            case Opened():
                self._opened = entry.event
            case Registered(team, eligible):
                self._teams[team] = Team(team, eligible)
            case Frozen(team, freeze, references):
                self._freezes.append(RecordedFreeze(self._teams[team].name, freeze, references, entry.time))
            case Accepted(team, track, phase, sha256, freeze):
                self._submissions[entry.number] = Submission(
                    entry.number, self._teams[team].name, track, phase, entry.time, sha256, freeze
                )
            case Scored(number, score, hidden):
                self._submissions[number] = replace(self._submissions[number], score=score, hidden=hidden)
            case Disqualified(team, None, reason):
                self._teams[team] = replace(self._teams[team], disqualified=reason)
            case Disqualified(_, int(number), reason):
                self._submissions[number] = replace(self._submissions[number], disqualified=reason)
            case Refused():
                self._refusals.append(entry.event)

    def standing(self) -> Standing:
        return Standing(
            self._opened,
            self._teams,
            tuple(self._freezes),
            self._submissions,
            tuple(self._refusals),
            self._given_times,
        )
