"""The rules a submission or a freeze must keep: pure functions that say what speaks against it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ectype.challenge.hosting.phases import allowance, state_at
from ectype.challenge.hosting.settings import PhaseNumber, Settings, as_utc_text
from ectype.challenge.hosting.standing import RecordedFreeze, Standing, Submission
from ectype.challenge.tracks import Track


@dataclass(frozen=True, slots=True)
class Attempt:
    """What a team wants to submit.

    Attributes
    ----------
    team : str
    track : {"matching", "descriptor"}
    sha256 : str
        Of the file.
    freeze : str or None
        Digest of the freeze that it names.
    references : str or None
        Digest of its reference vectors; None for a matching submission, and before they are read.
    """

    team: str
    track: Track
    sha256: str
    freeze: str | None = None
    references: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something is refused.

    Attributes
    ----------
    code : str
        A stable word: ``unknown-team``, ``disqualified``, ``repeated``, ``no-track``, ``too-early``,
        ``between-phases``, ``too-late``, ``no-freeze``, ``unknown-freeze``, ``late-freeze``, ``foreign-freeze``,
        ``references``, ``limit``, ``limit-a-day``, ``invalid``.
    reason : str
        A sentence that says what to do.
    """

    code: str
    reason: str

    @property
    def recorded(self) -> bool:
        """Whether the ledger keeps it: not for strangers, and not where nothing was tried that is new."""
        return self.code not in ("unknown-team", "repeated")


def why_not_freeze(settings: Settings, standing: Standing, team: str, now: datetime) -> Refusal | None:
    """What speaks against recording a team's freeze at a moment."""
    if now >= settings.freeze_deadline:
        return Refusal("late-freeze", f"entries had to be frozen before {as_utc_text(settings.freeze_deadline)}")
    return _why_not_team(standing, team)


def ruling(settings: Settings, standing: Standing, attempt: Attempt, now: datetime) -> PhaseNumber | Refusal:
    """The phase that a submission counts for at a moment, or what speaks against it.

    Parameters
    ----------
    settings : Settings
    standing : Standing
        After everything that happened before.
    attempt : Attempt
    now : datetime
        With a time zone.
    """
    phase = state_at(settings, now).phase
    refusal = (
        _why_not_team(standing, attempt.team)
        or _why_not_again(standing, attempt, phase)
        or _why_not_track(settings, attempt.track)
    )
    if refusal is not None:
        return refusal
    if phase is None:
        return _out_of_window(settings, now)
    if phase == 2 and (refusal := _why_not_frozen(settings, standing, attempt)):
        return refusal
    return _over_limit(settings, standing, attempt, phase, now) or phase


def same_file(standing: Standing, attempt: Attempt, phase: PhaseNumber | None) -> Submission | None:
    """The team's earlier submission of the same file in a phase; in any, if none is open."""
    for one in standing.submissions.values():
        if (one.team, one.sha256) == (attempt.team, attempt.sha256) and phase in (None, one.phase):
            return one
    return None


def _why_not_team(standing: Standing, name: str) -> Refusal | None:
    team = standing.teams.get(name)
    if team is None:
        known = ", ".join(sorted(standing.teams)) or "none yet"
        return Refusal(
            "unknown-team", f"no team {name!r} is registered ({known}); `ectype challenge register` enters one"
        )
    if team.disqualified is not None:
        return Refusal("disqualified", f"team {name!r} was disqualified: {team.disqualified}")
    return None


def _why_not_again(standing: Standing, attempt: Attempt, phase: PhaseNumber | None) -> Refusal | None:
    earlier = same_file(standing, attempt, phase)
    if earlier is None:
        return None
    return Refusal(
        "repeated",
        f"team {attempt.team!r} submitted this file in phase {earlier.phase} already, as submission {earlier.number} "
        f"at {as_utc_text(earlier.time)}; it does not count twice",
    )


def _why_not_track(settings: Settings, track: Track) -> Refusal | None:
    if track in settings.tracks:
        return None
    return Refusal("no-track", f"this challenge has no {track} track; submit to its {settings.tracks[0]} track")


def _out_of_window(settings: Settings, now: datetime) -> Refusal:
    state = state_at(settings, now)
    until = "" if state.until is None else as_utc_text(state.until)
    if state.stage == "before":
        return Refusal("too-early", f"phase 1 opens at {until}; submit again then")
    if state.stage == "over":
        closed = as_utc_text(settings.phase2.closes)
        return Refusal("too-late", f"phase 2 closed at {closed}; nothing can be submitted any more")
    return Refusal(
        "between-phases",
        f"phase 1 closed at {as_utc_text(settings.phase1.closes)}, and phase 2 opens at "
        f"{as_utc_text(settings.phase2.opens)}; submit again then",
    )


def _why_not_frozen(settings: Settings, standing: Standing, attempt: Attempt) -> Refusal | None:
    if attempt.freeze is None:
        return Refusal("no-freeze", "in phase 2, a submission names the freeze of its entry; add --freeze DIGEST")
    short = attempt.freeze[:12]
    recorded = [one for one in standing.freezes if one.digest == attempt.freeze]
    own = [one for one in recorded if one.team == attempt.team]
    in_time = [one for one in own if one.time < settings.freeze_deadline]
    if in_time:
        return _changed_references(in_time[0], attempt)
    if own or _was_refused_as_late(standing, attempt):
        deadline = as_utc_text(settings.freeze_deadline)
        return Refusal("late-freeze", f"the freeze {short} … came after the deadline, {deadline}; it does not count")
    if recorded:
        return Refusal("foreign-freeze", f"the freeze {short} … is not of team {attempt.team!r}; name one of your own")
    known = ", ".join(one.digest for one in standing.freezes if one.team == attempt.team) or "it has none"
    return Refusal(
        "unknown-freeze", f"no freeze {short} … of team {attempt.team!r} is recorded; name one that is: {known}"
    )


def _was_refused_as_late(standing: Standing, attempt: Attempt) -> bool:
    return any(
        (refused.team, refused.digest, refused.code) == (attempt.team, attempt.freeze, "late-freeze")
        for refused in standing.refusals
    )


def _changed_references(freeze: RecordedFreeze, attempt: Attempt) -> Refusal | None:
    if attempt.track == "matching":
        return None
    if freeze.references is None:
        return Refusal(
            "references",
            "the freeze holds no reference descriptors, so no descriptors can be submitted with it; name a freeze that "
            "was made with --descriptors",
        )
    if attempt.references not in (None, freeze.references):
        return Refusal(
            "references",
            f"the reference vectors or their ids are not the frozen ones (digest {attempt.references}, frozen "
            f"{freeze.references}); submit the frozen ones unchanged, with the new queries",
        )
    return None


def _over_limit(
    settings: Settings, standing: Standing, attempt: Attempt, number: PhaseNumber, now: datetime
) -> Refusal | None:
    phase = settings.phase(number)
    times = [one.time for one in standing.submissions_of(attempt.team, number, attempt.track)]
    left = allowance(phase, times, now)
    where = f"team {attempt.team!r} in the {attempt.track} track"
    if left.in_all == 0:
        return Refusal("limit", f"{where} has used all of its {phase.submissions} submissions of phase {number}")
    if left.today == 0:
        return Refusal(
            "limit-a-day",
            f"{where} has used its {phase.submissions_a_day} submissions of today; the next day begins at midnight UTC",
        )
    return None
