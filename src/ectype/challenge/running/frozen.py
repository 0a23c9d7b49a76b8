"""An entry that is run must be the one that was frozen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ectype.challenge.freezing import EntryParts, check_freeze, freeze_digest, read_freeze
from ectype.errors import SubmissionError


def require_frozen(path: str | Path, parts: EntryParts) -> str:
    """The digest of a freeze, if an entry is still what was frozen.

    Frozen reference vectors are left out: they belong to a descriptor submission, and running writes none.

    Parameters
    ----------
    path : str or Path
        Of ``freeze.json``.
    parts : EntryParts
        Where the entry lies now.

    Raises
    ------
    SubmissionError
        It has changed; the message tells every change.
    ChallengeError, UsageError
        The file is no freeze, or a part of the entry can't be read.
    """
    freeze = read_freeze(path)
    changes = check_freeze(replace(freeze, references=None), parts)
    if changes:
        listed = "".join(f"\n  {change}" for change in changes)
        raise SubmissionError(f"{parts.code}: this is not the entry that was frozen in {path}:{listed}")
    return freeze_digest(freeze)
