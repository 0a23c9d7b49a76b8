"""Freezing an entry: digests of its code, weights, environment and reference descriptors, in ``freeze.json``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ectype.challenge.digests import canonical_json, sha256_of_file, sha256_of_text
from ectype.challenge.freezing.code_listing import Code, FrozenFile, list_code, uncommitted
from ectype.challenge.freezing.reference_digest import reference_digest
from ectype.errors import ChallengeError, UsageError
from ectype.storage import write_json

_FORMAT = 1
_NAMED = 5


@dataclass(frozen=True, slots=True)
class EntryParts:
    """Where the parts of an entry lie.

    Attributes
    ----------
    code : Path
        A folder, or a git working tree.
    weights : tuple of Path
        Files with names that differ.
    environment : Path
        A file that pins every package, such as ``uv.lock`` or ``requirements.txt``.
    descriptors : Path or None
        A descriptor submission whose reference vectors are frozen.
    """

    code: Path
    weights: tuple[Path, ...]
    environment: Path
    descriptors: Path | None = None

    def __post_init__(self) -> None:
        twice = [name for name, count in Counter(path.name for path in self.weights).items() if count > 1]
        if twice:
            raise UsageError(f"two files of weights are named {twice[0]}; give them names that differ")


@dataclass(frozen=True, slots=True)
class Freeze:
    """An entry as it was frozen.

    Attributes
    ----------
    team : str
    code : Code
    weights : tuple of FrozenFile
        Sorted by name.
    environment : FrozenFile
    references : str or None
        Digest of the reference vectors; see `ectype.challenge.freezing.reference_digest`.
    """

    team: str
    code: Code
    weights: tuple[FrozenFile, ...]
    environment: FrozenFile
    references: str | None

    def to_dict(self) -> dict[str, object]:
        """The content of ``freeze.json``."""
        return {
            "format": _FORMAT,
            "team": self.team,
            "code": {
                "digest": self.code.digest,
                "tree": self.code.tree,
                "files": [asdict(file) for file in self.code.files],
            },
            "weights": [asdict(file) for file in self.weights],
            "environment": asdict(self.environment),
            "references": self.references,
        }


def freeze_digest(freeze: Freeze) -> str:
    """The name of a freeze: SHA-256 of its canonical JSON, 64 hexadecimal digits."""
    return sha256_of_text(canonical_json(freeze.to_dict()))


def freeze_entry(team: str, parts: EntryParts) -> Freeze:
    """Take the digests of an entry as it lies there now.

    Raises
    ------
    UsageError
        A folder or git is missing.
    ChallengeError
        A file can't be read or has no place in a freeze, or a git working tree has uncommitted changes.
    SubmissionError
        The file of descriptors holds none.
    """
    changed = uncommitted(parts.code)
    if changed:
        raise ChallengeError(
            f"{parts.code}: {_some(changed)} differ from the last commit; commit or remove the changes, then freeze "
            "(of files that git converts, such as those of LFS, freeze a copy without .git)"
        )
    return _digests(team, parts)


def check_freeze(freeze: Freeze, parts: EntryParts) -> list[str]:
    """What has changed in an entry since it was frozen: a sentence each, none if it is the frozen one.

    Raises
    ------
    UsageError, ChallengeError, SubmissionError
        As for `freeze_entry`; but uncommitted changes are told like others.
    """
    now = _digests(freeze.team, parts)
    changes = [
        *_changes("code", freeze.code.files, now.code.files),
        *_changes("weights", freeze.weights, now.weights),
        *_changes("environment", [freeze.environment], [now.environment]),
    ]
    if now.references != freeze.references:
        was, found = (digest or "none" for digest in (freeze.references, now.references))
        changes.append(f"reference descriptors: their digest was {was}, and is {found}")
    return changes


def _digests(team: str, parts: EntryParts) -> Freeze:
    return Freeze(
        team,
        list_code(parts.code),
        tuple(sorted((_file(path) for path in parts.weights), key=lambda file: file.name)),
        _file(parts.environment),
        None if parts.descriptors is None else reference_digest(parts.descriptors),
    )


def _file(path: Path) -> FrozenFile:
    return FrozenFile(path.name, sha256_of_file(path))


def _changes(what: str, before: Iterable[FrozenFile], now: Iterable[FrozenFile]) -> list[str]:
    old, new = ({file.name: file for file in files} for files in (before, now))
    changes = []
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            changes.append(f"{what}: {name} is missing")
        elif name not in old:
            changes.append(f"{what}: {name} is new")
        elif old[name].sha256 != new[name].sha256:
            changes.append(f"{what}: {name} has other content")
        elif old[name].executable != new[name].executable:
            changes.append(f"{what}: {name} was {'' if old[name].executable else 'not '}executable")
    return changes


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def write_freeze(path: str | Path, freeze: Freeze) -> None:
    """Write ``freeze.json``.

    Raises
    ------
    StorageError
        The disk refused.
    """
    write_json(path, freeze.to_dict())


def read_freeze(path: str | Path) -> Freeze:
    """Read ``freeze.json``.

    Raises
    ------
    ChallengeError
        The file is missing or no freeze, or was edited by hand.
    """
    try:
        content = json.loads(Path(path).read_text("utf-8"))
        freeze = _parsed(content)
    except FileNotFoundError:
        raise ChallengeError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ChallengeError(f"{path}: can't be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise ChallengeError(f"{path}: no freeze; `ectype challenge freeze` makes one") from error
    if freeze.to_dict() != content:
        raise ChallengeError(f"{path}: its digests do not fit its files; `ectype challenge freeze` makes a new one")
    return freeze


def _parsed(content: Any) -> Freeze:
    return Freeze(
        str(content["team"]),
        Code(_files(content["code"]["files"]), content["code"]["tree"]),
        _files(content["weights"]),
        FrozenFile(**content["environment"]),
        content["references"],
    )


def _files(content: Any) -> tuple[FrozenFile, ...]:
    return tuple(FrozenFile(**file) for file in content)
