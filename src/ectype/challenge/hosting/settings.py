"""The settings of a challenge: ``challenge.toml``, which stays as it is once the challenge is open."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

from ectype.challenge.tracks import Track
from ectype.errors import ChallengeError

SETTINGS_FILE = "challenge.toml"
PHASE2_LENGTH = timedelta(hours=48)
PHASE2_SUBMISSIONS = 3

PhaseNumber = Literal[1, 2]


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase: when it is open, what is matched, how often a team may submit.

    Attributes
    ----------
    opens, closes : datetime
        With a time zone. `opens` is the first moment inside, `closes` the first one after.
    manifest, ground_truth : str
        Paths of files, absolute or relative to the challenge's folder.
    submissions : int
        A team's, in each track.
    submissions_a_day : int or None
        Of these on one day of UTC; None leaves it open.
    """

    opens: datetime
    closes: datetime
    manifest: str
    ground_truth: str
    submissions: int
    submissions_a_day: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """What a host decides about a challenge.

    Attributes
    ----------
    name : str
    tracks : tuple of {"matching", "descriptor"}
    phase1, phase2 : Phase
    freeze_deadline : datetime
        The first moment at which no freeze is accepted any more.
    public_share : float
        Share of phase 1's queries whose labels are public, above 0 and below 1.
    salt : str
        Decides, with a query's id, whether its label is public.
    prizes : int

    Raises
    ------
    ChallengeError
        Values that no challenge can have; the message tells all of them.
    """

    name: str
    tracks: tuple[Track, ...]
    phase1: Phase
    phase2: Phase
    freeze_deadline: datetime
    public_share: float
    salt: str
    prizes: int

    def __post_init__(self) -> None:
        problems = settings_problems(self.values())
        if problems:
            raise ChallengeError("the settings can't be used:\n" + "\n".join(f"  {problem}" for problem in problems))

    def phase(self, number: PhaseNumber) -> Phase:
        return self.phase1 if number == 1 else self.phase2

    def values(self) -> dict[str, object]:
        """Every setting by its name in the file, such as ``phase1.opens``; those left open are missing."""
        values: dict[str, object] = {
            "name": self.name,
            "tracks": list(self.tracks),
            "prizes": self.prizes,
            "phase1.public_share": self.public_share,
            "phase1.salt": self.salt,
            "freeze.deadline": self.freeze_deadline,
        }
        for number, phase in ((1, self.phase1), (2, self.phase2)):
            for name in Phase.__slots__:
                values[f"phase{number}.{name}"] = getattr(phase, name)
        return {name: value for name, value in values.items() if value is not None}

    def to_dict(self) -> dict[str, object]:
        """The settings as JSON values; times in UTC."""
        return {
            name: as_utc_text(value) if isinstance(value, datetime) else value for name, value in self.values().items()
        }


def as_utc_text(moment: datetime) -> str:
    """A time as people read it, such as ``2021-10-26T00:00:00Z``."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class _Rule:
    """What a setting must be, said in words, and what it is if it is left out; `...` if it may not be."""

    holds: Callable[[object], bool]
    expected: str
    default: object = ...


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip()) and value.isprintable()


def _is_moment(value: object) -> bool:
    return isinstance(value, datetime) and value.tzinfo is not None


def _is_share(value: object) -> bool:
    return isinstance(value, float) and math.isfinite(value) and 0 < value < 1


def _is_whole(least: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least


def _are_tracks(value: object) -> bool:
    known = get_args(Track)
    return isinstance(value, list) and bool(value) and all(value.count(track) == (track in known) for track in value)


_TEXT = _Rule(_is_text, "a text of one line that is not empty")
_FILE = _Rule(_is_text, "the path of a file, absolute or relative to challenge.toml")
_MOMENT = _Rule(_is_moment, "a time with its time zone, such as 2021-10-26T00:00:00Z")
_COUNT = _Rule(_is_whole(1), "a whole number from 1")
_MAY_BE_LEFT_OPEN = _Rule(_is_whole(1), "a whole number from 1, or left out", None)
_RULES: dict[str, _Rule] = {
    "name": _TEXT,
    "tracks": _Rule(_are_tracks, 'a list of "matching", "descriptor" or both', list(get_args(Track))),
    "prizes": _Rule(_is_whole(0), "a whole number from 0", 3),
    "phase1.opens": _MOMENT,
    "phase1.closes": _MOMENT,
    "phase1.manifest": _FILE,
    "phase1.ground_truth": _FILE,
    "phase1.submissions": _COUNT,
    "phase1.submissions_a_day": _MAY_BE_LEFT_OPEN,
    "phase1.public_share": _Rule(_is_share, "a number above 0 and below 1", 0.5),
    "phase1.salt": _TEXT,
    "freeze.deadline": _MOMENT,
    "phase2.opens": _MOMENT,
    "phase2.closes": _MOMENT,
    "phase2.manifest": _FILE,
    "phase2.ground_truth": _FILE,
    "phase2.submissions": _Rule(_is_whole(1), "a whole number from 1", PHASE2_SUBMISSIONS),
    "phase2.submissions_a_day": _MAY_BE_LEFT_OPEN,
}
_ORDER = ("phase1.opens", "phase1.closes", "freeze.deadline", "phase2.opens", "phase2.closes")


def settings_problems(values: Mapping[str, object]) -> list[str]:
    """What is wrong with settings, given by their names in the file; a sentence each."""
    problems = [f"{name}: no such setting; remove it, or see to its spelling" for name in values if name not in _RULES]
    right: dict[str, Any] = {}
    for name, rule in _RULES.items():
        if name in values and rule.holds(values[name]):
            right[name] = values[name]
        elif name in values:
            value = values[name]
            problems.append(f"{name}: must be {rule.expected}, not {value if isinstance(value, date) else repr(value)}")
        elif rule.default is ...:
            problems.append(f"{name}: is missing; it must be {rule.expected}")
    problems += _out_of_order(right)
    a_day, in_all = right.get("phase1.submissions_a_day"), right.get("phase1.submissions")
    if a_day is not None and in_all is not None and a_day > in_all:
        problems.append(f"phase1.submissions_a_day: {a_day} a day are more than the {in_all} in all")
    return problems


def _out_of_order(values: Mapping[str, Any]) -> list[str]:
    """The times that are there must follow each other; a window must last."""
    problems = []
    there = [name for name in _ORDER if name in values]
    for earlier, later in pairwise(there):
        first, second = values[earlier], values[later]
        if second < first or (second == first and later.endswith(".closes")):
            problems.append(f"{later}: must come after {earlier}, {as_utc_text(first)}, but is {as_utc_text(second)}")
    return problems


class SettingsFile:
    """The values in a challenge's ``challenge.toml``, and what is wrong with them.

    Attributes
    ----------
    problems : list of str
        Empty if the settings can be used.

    Raises
    ------
    ChallengeError
        The file is missing or no TOML.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / SETTINGS_FILE
        self._values = _with_defaults(_flat(_parse(self._path)))
        self.problems = settings_problems(self._values)

    def file_named(self, name: str) -> str | None:
        """The file that a setting names, if it names one, whether or not the other settings are right."""
        value = self._values.get(name)
        return value if isinstance(value, str) and _FILE.holds(value) else None

    def settings(self) -> Settings:
        """The settings.

        Raises
        ------
        ChallengeError
            They have problems; the message tells all of them.
        """
        if self.problems:
            raise ChallengeError(problem_list(self._path, self.problems))
        values: dict[str, Any] = self._values
        phases = [
            Phase(**{name: values.get(f"phase{number}.{name}") for name in Phase.__slots__})  # type: ignore[arg-type]
            for number in (1, 2)
        ]
        return Settings(
            name=values["name"],
            tracks=tuple(values["tracks"]),
            phase1=phases[0],
            phase2=phases[1],
            freeze_deadline=values["freeze.deadline"],
            public_share=values["phase1.public_share"],
            salt=values["phase1.salt"],
            prizes=values["prizes"],
        )


def problem_list(place: str | Path, problems: list[str]) -> str:
    """One message for many problems."""
    count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
    return "\n".join([f"{place}: {count}:", *(f"  {problem}" for problem in problems)])


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ChallengeError(
            f"{path}: there is no such file; `ectype challenge create {path.parent}` makes one"
        ) from None
    except OSError as error:
        raise ChallengeError(f"{path}: can't be read: {error.strerror}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ChallengeError(f"{path}: not a TOML file in UTF-8: {error}") from error


def _flat(content: Mapping[str, Any]) -> dict[str, object]:
    """Settings of tables under names with a dot."""
    flat: dict[str, object] = {}
    for name, value in content.items():
        if isinstance(value, dict):
            flat.update({f"{name}.{inner}": setting for inner, setting in value.items()})
        else:
            flat[name] = value
    return flat


def _with_defaults(values: dict[str, object]) -> dict[str, object]:
    defaults = {name: rule.default for name, rule in _RULES.items() if rule.default not in (..., None)}
    opens = values.get("phase2.opens")
    if isinstance(opens, datetime):
        defaults["phase2.closes"] = opens + PHASE2_LENGTH
    return {**defaults, **values}
