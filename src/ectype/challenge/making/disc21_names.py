"""What the names of DISC21's folders and files say: which images lie there, and of which phase."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ectype.challenge.manifest import Role
from ectype.errors import ChallengeError

Phase = Literal[1, 2]
Content = Literal["images", "ids", "truth"]

_DEEPEST = 3  # folders below the root in which names are looked at
_FIRST, _SECOND = "dev|development|public|phase[-_ ]?1", "test|final|private|phase[-_ ]?2"
_PHASE = rf"(?:(?P<first>{_FIRST})|(?P<second>{_SECOND}))"
_ROLES: Mapping[Role, str] = {"reference": "references?|refs?", "query": "quer(?:y|ies)", "training": "train(?:ing)?"}
_ROLE = "|".join(f"(?P<{role}>{words})" for role, words in _ROLES.items())
_SHARE = r"(?:[-_. ]?\d+[km])?(?:[-_. ]?(?:part)?[-_. ]?\d+)?"  # of how many, and which part
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (rf"(?:{_PHASE}[-_. ]?)?(?:{_ROLE}){_SHARE}", rf"(?:{_ROLE})[-_. ]?{_PHASE}{_SHARE}")
)
_TRUTH = re.compile(rf"(?:{_PHASE}[-_. ]?)?(?:queries[-_. ]?)?ground[-_. ]?truth", re.IGNORECASE)
_PHASE_FOLDER = re.compile(_PHASE, re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of images, a list of ids or a ground truth.

    Attributes
    ----------
    path : Path
    content : {"images", "ids", "truth"}
    role : {"reference", "query", "training"}
        Of the images or ids; "query" for a ground truth.
    phase : {1, 2} or None
        None where its name says nothing of it.
    """

    path: Path
    content: Content
    role: Role
    phase: Phase | None


def find_places(root: Path) -> list[Place]:
    """Every place below a folder whose name is one of DISC21's, in alphabetical order.

    Raises
    ------
    ChallengeError
        A folder can't be read.
    """
    return sorted(_places(root, None, 0), key=lambda place: place.path)


def _places(folder: Path, phase: Phase | None, depth: int) -> Iterator[Place]:
    try:
        entries = [entry for entry in os.scandir(folder) if not entry.name.startswith(".")]
    except OSError as error:
        raise ChallengeError(f"{folder}: can't be read: {error.strerror}") from error
    for entry in entries:
        path = Path(entry.path)
        if not entry.is_dir():
            place = _file(path, phase)
            if place is not None:
                yield place
        elif (found := _role_in(entry.name)) is not None:
            role, own = found
            yield Place(path, "images", role, own or phase)
        elif depth < _DEEPEST:
            own = _phase_in(_PHASE_FOLDER.fullmatch(entry.name))
            yield from _places(path, own or phase, depth + 1)


def _file(path: Path, phase: Phase | None) -> Place | None:
    suffix = path.suffix.lower()
    if suffix == ".csv" and (truth := _TRUTH.fullmatch(path.stem)) is not None:
        return Place(path, "truth", "query", _phase_in(truth) or phase)
    if suffix in ("", ".txt", ".csv") and (found := _role_in(path.stem)) is not None:
        role, own = found
        return Place(path, "ids", role, own or phase)
    return None


def _role_in(name: str) -> tuple[Role, Phase | None] | None:
    for pattern in _PATTERNS:
        if (match := pattern.fullmatch(name)) is not None:
            role = next(role for role in _ROLES if match[role])
            return role, _phase_in(match)
    return None


def _phase_in(match: re.Match[str] | None) -> Phase | None:
    if match is None:
        return None
    if match["first"]:
        return 1
    return 2 if match["second"] else None
