"""Digests: of files, and of values by their one canonical JSON form."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ectype.errors import ChallengeError


def canonical_json(content: object) -> str:
    """The one way in which a JSON value is written here: keys sorted, no spaces, no numbers that JSON lacks."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_of_text(text: str) -> str:
    """64 hexadecimal digits, of the text in UTF-8."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256_of_file(path: Path) -> str:
    """64 hexadecimal digits.

    Raises
    ------
    ChallengeError
        The file can't be read.
    """
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise ChallengeError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ChallengeError(f"{path}: can't be read: {error.strerror}") from error
