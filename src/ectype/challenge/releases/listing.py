"""``release.json``: what a release consists of."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from ectype.challenge.manifest import is_inside
from ectype.errors import ChallengeError

LISTING = "release.json"
MOST_BYTES_OF_A_LISTING = 64 << 20
"""More than a million shards; what is larger was not written by `publish`."""

Kind = Literal["manifest", "reference", "query", "training", "extra", "sealed"]
_FORMAT = "ectype-release-1"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class ReleaseFile:
    """One file of a release.

    Attributes
    ----------
    name : str
        At the place. It carries a part of the digest, so a file of this name never has another content.
    kind : {"manifest", "reference", "query", "training", "extra", "sealed"}
        The manifest, a tar shard with images of that role, another file of the data set, a piece of what is sealed.
    bytes : int
    sha256 : str
    path : str
        Where a manifest or another file belongs in the data set; empty for the rest.
    images : int
        How many a shard has; 0 for the rest.

    Raises
    ------
    ChallengeError
        A value that no release has, such as a name with a slash or a path that leaves the data set.
    """

    name: str
    kind: Kind
    bytes: int
    sha256: str
    path: str = ""
    images: int = 0

    def __post_init__(self) -> None:
        texts, numbers = (self.name, self.kind, self.sha256, self.path), (self.bytes, self.images)
        if not all(isinstance(text, str) for text in texts) or any(type(number) is not int for number in numbers):
            raise ChallengeError(f"the file {self.name!r}: a value is of the wrong type")
        if not _NAME.fullmatch(self.name) or self.name == LISTING:
            raise ChallengeError(f"{self.name!r} can't be the name of a file of a release")
        if self.kind not in get_args(Kind):
            raise ChallengeError(f"{self.name}: its kind {self.kind!r} is none of {', '.join(get_args(Kind))}")
        if self.bytes < 0 or self.images < 0:
            raise ChallengeError(f"{self.name}: a number is negative")
        if not is_sha256(self.sha256):
            raise ChallengeError(f"{self.name}: {self.sha256!r} is no SHA-256 of 64 hexadecimal digits")
        if (self.kind in ("manifest", "extra")) != bool(self.path):
            raise ChallengeError(f"{self.name}: a manifest and other files have a path, and nothing else has")
        if self.path and not is_place_in_root(self.path):
            raise ChallengeError(f"{self.name}: the path {self.path!r} is not one below the data set's folder")


@dataclass(frozen=True)
class Release:
    """What a release consists of.

    Attributes
    ----------
    files : tuple of ReleaseFile
        With exactly one manifest and any shards, whose images are those of the manifest in its order; or, sealed, with
        pieces in their order.
    truth_commitment : str or None
        Of the ground truth that is kept secret; see `ectype.challenge.releases.commit_truth`.
    key_commitment : str or None
        Of the key, when the release is sealed.

    Raises
    ------
    ChallengeError
        A name or a path is there twice, there is not one manifest, or sealed and open files are mixed.
    """

    files: tuple[ReleaseFile, ...]
    truth_commitment: str | None = None
    key_commitment: str | None = None

    def __post_init__(self) -> None:
        for commitment in (self.truth_commitment, self.key_commitment):
            if commitment is not None and not is_sha256(commitment):
                raise ChallengeError(f"{commitment!r} is no commitment of 64 hexadecimal digits")
        for what in ("name", "path"):
            values = Counter(value for file in self.files if (value := getattr(file, what)))
            repeated = [value for value, count in values.items() if count > 1]
            if repeated:
                raise ChallengeError(f"the {what} {repeated[0]!r} is there twice")
        kinds = Counter(file.kind for file in self.files)
        if kinds["manifest"] != (0 if self.is_sealed else 1) or (kinds["sealed"] > 0) != self.is_sealed:
            raise ChallengeError("a release has one manifest, or is sealed and has none")
        if self.is_sealed and len(kinds) > 1:
            raise ChallengeError("a release is sealed whole or not at all")

    @property
    def is_sealed(self) -> bool:
        """Whether a key is needed to open it."""
        return self.key_commitment is not None

    @property
    def manifest(self) -> ReleaseFile:
        """The manifest of a release that is not sealed."""
        return next(file for file in self.files if file.kind == "manifest")

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.bytes for file in self.files)

    @cached_property
    def sha256(self) -> str:
        """Digest of its ``release.json``, by which a host announces it."""
        return hashlib.sha256(self.to_json()).hexdigest()

    def to_json(self) -> bytes:
        """The bytes of its ``release.json``: equal releases have equal ones."""
        content = {
            "format": _FORMAT,
            "truth_commitment": self.truth_commitment,
            "key_commitment": self.key_commitment,
            "files": [asdict(file) for file in self.files],
        }
        return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()


def parse_release(content: bytes, where: str) -> Release:
    """Read the bytes of a ``release.json``, which may come from anybody.

    Raises
    ------
    ChallengeError
        They describe no release.
    """
    try:
        value: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ChallengeError(f"{where}: not JSON: {error}") from None
    if not isinstance(value, dict) or value.get("format") != _FORMAT:
        raise ChallengeError(f"{where}: no release of the form {_FORMAT}; a newer Ectype may read it")
    try:
        files = tuple(ReleaseFile(**file) for file in value["files"])
        release = Release(files, value["truth_commitment"], value["key_commitment"])
    except (KeyError, TypeError) as error:
        raise ChallengeError(f"{where}: a part is missing or not known: {error}") from None
    except ChallengeError as error:
        raise ChallengeError(f"{where}: {error}") from None
    if release.to_json() != content:
        raise ChallengeError(f"{where}: not as `ectype challenge publish` writes it")
    return release


def is_place_in_root(path: str) -> bool:
    """Whether a file of a release may be put at this path below a data set's folder.

    Names that begin with a dot are kept for Ectype's own use.
    """
    parts = PurePosixPath(path).parts
    is_plain = "/".join(parts) == path and path.isprintable()
    return is_plain and is_inside(path) and not any(part.startswith(".") for part in parts)


def is_sha256(text: object) -> bool:
    """Whether this is a SHA-256 of 64 hexadecimal digits."""
    return isinstance(text, str) and _SHA256.fullmatch(text) is not None


def named_by_digest(stem: str, sha256: str, suffix: str) -> str:
    """The name of a file at a place."""
    return f"{stem}.{sha256[:16]}{suffix}"
