"""The boards: pure functions of what the ledger says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from ectype.challenge.hosting.events import Score
from ectype.challenge.hosting.phases import state_at
from ectype.challenge.hosting.settings import PhaseNumber, Settings, as_utc_text
from ectype.challenge.hosting.standing import Standing, Submission
from ectype.challenge.tracks import Track
from ectype.errors import ChallengeError


@dataclass(frozen=True, slots=True)
class BoardRow:
    """A team's place in one track.

    Attributes
    ----------
    place : int
        From 1 on.
    prize : int or None
        Place among the teams that win prizes.
    team : str
    eligible : bool
        For prizes.
    score : Score
        Of the best submission.
    hidden : Score or None
        The same submission's on the hidden labels of phase 1, once they are revealed.
    submission : int
        The number of the best submission.
    time : datetime
        When it was submitted.
    submissions : int
        How many of the team's submissions were scored and stand.
    """

    place: int
    prize: int | None
    team: str
    eligible: bool
    score: Score
    hidden: Score | None
    submission: int
    time: datetime
    submissions: int


@dataclass(frozen=True, slots=True)
class Board:
    """The ranking in one track; `rows` from the first place on."""

    track: Track
    rows: tuple[BoardRow, ...]


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """The boards of one phase, with what has no place on them.

    Attributes
    ----------
    challenge : str
        Its name.
    phase : {1, 2}
    boards : tuple of Board
        One a track.
    disqualified : tuple of str
        A sentence for each team or submission.
    unscored : tuple of int
        Submissions whose scoring was cut short.
    given_times : int
        How many events have a time that was given, not read from the clock: a rehearsal has some.
    """

    challenge: str
    phase: PhaseNumber
    boards: tuple[Board, ...]
    disqualified: tuple[str, ...]
    unscored: tuple[int, ...]
    given_times: int


def leaderboard(settings: Settings, standing: Standing, now: datetime, phase: PhaseNumber | None = None) -> Leaderboard:
    """The boards that may be shown at a moment.

    Parameters
    ----------
    settings : Settings
    standing : Standing
    now : datetime
        With a time zone.
    phase : {1, 2}, optional
        Without it, phase 2 once it is over, and phase 1 until then.

    Raises
    ------
    ChallengeError
        Phase 2 is asked for and not over.
    """
    over = state_at(settings, now).stage == "over"
    if phase is None:
        phase = 2 if over else 1
    if phase == 2 and not over:
        closes = as_utc_text(settings.phase2.closes)
        raise ChallengeError(f"the scores of phase 2 are kept until it is over, at {closes}; see the board of phase 1")
    if phase == 2:
        boards = tuple(final_board(standing, track, settings.prizes) for track in settings.tracks)
    else:
        boards = tuple(public_board(standing, track, reveal_hidden=over) for track in settings.tracks)
    unscored = tuple(one.number for one in standing.unscored if one.phase == phase)
    return Leaderboard(settings.name, phase, boards, _disqualified(standing), unscored, standing.given_times)


def public_board(standing: Standing, track: Track, *, reveal_hidden: bool = False) -> Board:
    """The board of phase 1: each team's best score on the public labels. It wins nothing."""
    return _board(standing, 1, track, 0, reveal_hidden)


def final_board(standing: Standing, track: Track, prizes: int) -> Board:
    """The board of phase 2, which alone decides: each team's best submission.

    Parameters
    ----------
    standing : Standing
    track : {"matching", "descriptor"}
    prizes : int
        How many there are; they go to the first eligible teams.
    """
    return _board(standing, 2, track, prizes, False)


def _board(standing: Standing, phase: PhaseNumber, track: Track, prizes: int, reveal_hidden: bool) -> Board:
    """What is disqualified, or not scored yet, has no place."""
    ranked: dict[str, list[tuple[Submission, Score]]] = {}
    for submission, score in _from_the_best_on(standing.submissions.values()):
        team = standing.teams[submission.team]
        if (submission.phase, submission.track) == (phase, track) and team.disqualified is None:
            ranked.setdefault(team.name, []).append((submission, score))
    rows: list[BoardRow] = []
    won = 0
    for place, (name, submissions) in enumerate(ranked.items(), 1):
        best, score = submissions[0]
        eligible = standing.teams[name].eligible
        wins = eligible and won < prizes
        won += wins
        rows.append(
            BoardRow(
                place=place,
                prize=won if wins else None,
                team=name,
                eligible=eligible,
                score=score,
                hidden=best.hidden if reveal_hidden else None,
                submission=best.number,
                time=best.time,
                submissions=len(submissions),
            )
        )
    return Board(track, tuple(rows))


def _from_the_best_on(submissions: Iterable[Submission]) -> list[tuple[Submission, Score]]:
    """By micro-average precision; of equal ones, the earlier comes first."""
    scored = [(one, one.score) for one in submissions if one.score is not None and one.disqualified is None]
    return sorted(scored, key=lambda pair: (-pair[1].micro_average_precision, pair[0].time, pair[0].team))


def _disqualified(standing: Standing) -> tuple[str, ...]:
    teams = [
        f"team {one.name!r}: {one.disqualified}" for one in standing.teams.values() if one.disqualified is not None
    ]
    submissions = [
        f"submission {one.number} of team {one.team!r}: {one.disqualified}"
        for one in standing.submissions.values()
        if one.disqualified is not None
    ]
    return (*sorted(teams), *submissions)
