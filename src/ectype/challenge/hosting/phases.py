"""Where a challenge stands at a moment, and what a team may still submit: pure functions of settings and times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from ectype.challenge.hosting.settings import Phase, PhaseNumber, Settings
from ectype.errors import UsageError

Stage = Literal["before", "phase 1", "freezing", "frozen", "phase 2", "over"]
STAGES: tuple[Stage, ...] = ("before", "phase 1", "freezing", "frozen", "phase 2", "over")
"""In the order of time. ``freezing``: phase 1 has closed, entries may still be frozen; ``frozen``: no more."""

_PHASES: dict[Stage, PhaseNumber] = {"phase 1": 1, "phase 2": 2}


@dataclass(frozen=True, slots=True)
class State:
    """Where a challenge stands.

    Attributes
    ----------
    stage : str
        One of `STAGES`.
    until : datetime or None
        When the next stage begins; None after the last.
    """

    stage: Stage
    until: datetime | None

    @property
    def phase(self) -> PhaseNumber | None:
        """The phase that is open now."""
        return _PHASES.get(self.stage)

    @property
    def following(self) -> Stage | None:
        """What comes next."""
        return None if self.stage == "over" else STAGES[STAGES.index(self.stage) + 1]


def state_at(settings: Settings, now: datetime) -> State:
    """Where a challenge stands at a moment.

    Parameters
    ----------
    settings : Settings
    now : datetime
        With a time zone.

    Raises
    ------
    UsageError
        The time has no time zone.
    """
    if now.tzinfo is None:
        raise UsageError(f"{now}: a time needs its time zone, such as 2021-10-26T00:00:00Z")
    ends = (
        settings.phase1.opens,
        settings.phase1.closes,
        settings.freeze_deadline,
        settings.phase2.opens,
        settings.phase2.closes,
    )
    for stage, end in zip(STAGES, ends, strict=False):  # the last stage has no end
        if now < end:
            return State(stage, end)
    return State("over", None)


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many submissions a team has left in a track.

    Attributes
    ----------
    in_all : int
    today : int or None
        Until the day ends in UTC; None if the phase has no limit a day.
    """

    in_all: int
    today: int | None

    @property
    def now(self) -> int:
        """How many may follow at once."""
        return self.in_all if self.today is None else min(self.in_all, self.today)


def allowance(phase: Phase, submitted: Iterable[datetime], now: datetime) -> Allowance:
    """What the limits of a phase leave.

    Parameters
    ----------
    phase : Phase
    submitted : iterable of datetime
        Times of the team's submissions that count, in this phase and track.
    now : datetime
        With a time zone; the day is that of UTC.
    """
    times = list(submitted)
    in_all = max(0, phase.submissions - len(times))
    if phase.submissions_a_day is None:
        return Allowance(in_all, None)
    today = now.astimezone(UTC).date()
    used = sum(time.astimezone(UTC).date() == today for time in times)
    return Allowance(in_all, max(0, phase.submissions_a_day - used))
