"""Where a challenge stands now, what comes next, and what each team has left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from ectype.challenge.hosting.phases import Allowance, State, allowance, state_at
from ectype.challenge.hosting.settings import PhaseNumber, Settings, as_utc_text
from ectype.challenge.hosting.standing import Standing, Submission, Team
from ectype.challenge.tracks import Track


@dataclass(frozen=True, slots=True)
class TeamStatus:
    """What a team did and may do.

    Attributes
    ----------
    team : Team
    left : mapping of track to Allowance
        In the open phase, or the next one; empty when there is none.
    submissions, refused : int
        Accepted in both phases, and refused.
    freezes : tuple of str
        Digests.
    """

    team: Team
    left: Mapping[Track, Allowance]
    submissions: int
    refused: int
    freezes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Status:
    """A challenge at a moment.

    Attributes
    ----------
    challenge : str
        Its name.
    now : datetime
    state : State
    phase : {1, 2} or None
        The open phase, or the next one.
    teams : tuple of TeamStatus
    unscored : tuple of Submission
        Their scoring was cut short; submitting the file again completes it.
    given_times : int
        How many events have a time that was given, not read from the clock.
    """

    challenge: str
    now: datetime
    state: State
    phase: PhaseNumber | None
    teams: tuple[TeamStatus, ...]
    unscored: tuple[Submission, ...]
    given_times: int

    def to_dict(self) -> dict[str, object]:
        """As JSON values."""
        return {
            "challenge": self.challenge,
            "now": as_utc_text(self.now),
            "stage": self.state.stage,
            "next": self.state.following,
            "next_at": None if self.state.until is None else as_utc_text(self.state.until),
            "phase": self.phase,
            "teams": [
                {
                    "team": one.team.name,
                    "eligible": one.team.eligible,
                    "disqualified": one.team.disqualified,
                    "submissions": one.submissions,
                    "refused": one.refused,
                    "left": {track: asdict(left) for track, left in one.left.items()},
                    "freezes": list(one.freezes),
                }
                for one in self.teams
            ],
            "unscored": [one.number for one in self.unscored],
            "given_times": self.given_times,
        }


def status_of(settings: Settings, standing: Standing, now: datetime) -> Status:
    """How a challenge stands at a moment.

    Parameters
    ----------
    settings : Settings
    standing : Standing
    now : datetime
        With a time zone.
    """
    state = state_at(settings, now)
    phase = _open_or_next(state)
    teams = tuple(_team_status(settings, standing, team, phase, now) for team in standing.teams.values())
    return Status(settings.name, now, state, phase, teams, tuple(standing.unscored), standing.given_times)


def _open_or_next(state: State) -> PhaseNumber | None:
    if state.stage == "over":
        return None
    return 1 if state.stage in ("before", "phase 1") else 2


def _team_status(
    settings: Settings, standing: Standing, team: Team, phase: PhaseNumber | None, now: datetime
) -> TeamStatus:
    left = {}
    if phase is not None:
        for track in settings.tracks:
            times = [one.time for one in standing.submissions_of(team.name, phase, track)]
            left[track] = allowance(settings.phase(phase), times, now)
    return TeamStatus(
        team,
        left,
        sum(one.team == team.name for one in standing.submissions.values()),
        sum(refusal.team == team.name for refusal in standing.refusals),
        tuple(one.digest for one in standing.freezes if one.team == team.name),
    )
