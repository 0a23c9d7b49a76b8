"""What can happen in a challenge, as the ledger records it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from ectype.challenge.digests import canonical_json
from ectype.challenge.hosting.settings import PhaseNumber
from ectype.challenge.tracks import Track
from ectype.errors import ChallengeError


@dataclass(frozen=True, slots=True)
class Score:
    """The challenge's two measures.

    Attributes
    ----------
    micro_average_precision : float
        In [0, 1].
    recall_at_p90 : float or None
        None if a precision of 0.9 is never reached.
    """

    micro_average_precision: float
    recall_at_p90: float | None


@dataclass(frozen=True, slots=True)
class Opened:
    """The host opened the challenge.

    Attributes
    ----------
    settings : mapping of str to JSON value
        By their names in the file.
    files : mapping of str to str
        SHA-256 of each manifest and ground truth, by the name of its setting.
    """

    settings: Mapping[str, object]
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Registered:
    """A team entered; `eligible` is whether it can win prizes."""

    team: str
    eligible: bool


@dataclass(frozen=True, slots=True)
class Frozen:
    """A team froze an entry: digests of the freeze, and of the reference vectors if it has any."""

    team: str
    freeze: str
    references: str | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A submission counts from here on. Its number is that of this event."""

    team: str
    track: Track
    phase: PhaseNumber
    sha256: str
    freeze: str | None


@dataclass(frozen=True, slots=True)
class Scored:
    """A submission got its score.

    Attributes
    ----------
    submission : int
    score : Score
        On the public labels in phase 1, on all in phase 2.
    hidden : Score or None
        On the hidden labels in phase 1.
    """

    submission: int
    score: Score
    hidden: Score | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The rules refused a submission or a freeze.

    Attributes
    ----------
    team : str
    code : str
        Why, as a stable word; see `ectype.challenge.hosting.rules`.
    reason : str
        The reason in a sentence.
    digest : str
        Of the submission or the freeze.
    """

    team: str
    code: str
    reason: str
    digest: str


@dataclass(frozen=True, slots=True)
class Disqualified:
    """The host took a team, or one of its submissions, out of the ranking."""

    team: str
    submission: int | None
    reason: str


Event = Opened | Registered | Frozen | Accepted | Scored | Refused | Disqualified
_KINDS: dict[str, type[Event]] = {
    kind.__name__.lower(): kind for kind in (Opened, Registered, Frozen, Accepted, Scored, Refused, Disqualified)
}


@dataclass(frozen=True, slots=True)
class Entry:
    """An event at its place in the ledger.

    Attributes
    ----------
    number : int
        From 1 on, without gaps.
    time : datetime
        In UTC.
    time_given : bool
        Whether the time was given by the host, as in a rehearsal, and not read from the clock.
    event : Event
    """

    number: int
    time: datetime
    time_given: bool
    event: Event


def kind_of(event: Event) -> str:
    """The word for an event's kind."""
    return type(event).__name__.lower()


def encode_event(event: Event) -> str:
    """The canonical JSON of an event."""
    return canonical_json(asdict(event))


def decode_event(kind: str, content: str) -> Event:
    """The event that `encode_event` wrote.

    Raises
    ------
    ChallengeError
        The kind is unknown, or the content does not belong to it.
    """
    try:
        values: dict[str, Any] = json.loads(content)
        if kind == "scored":
            for name in ("score", "hidden"):
                values[name] = None if values[name] is None else Score(**values[name])
        return _KINDS[kind](**values)
    except (KeyError, TypeError, ValueError) as error:
        raise ChallengeError(f"no event that this version of Ectype knows: {kind} {content[:200]}") from error
