"""An entry that is run must be the one that was frozen, and nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ectype.challenge.freezing.freeze import EntryParts, check_freeze, freeze_digest, read_freeze
from ectype.errors import SubmissionError

_NAMED = 5


def require_frozen(path: str | Path, parts: EntryParts) -> str:
    """The digest of a freeze, if an entry is still what was frozen.

    Frozen reference vectors are left out: they belong to a descriptor submission, and a run writes none.

    Parameters
    ----------
    path : str or Path
        Of ``freeze.json``.
    parts : EntryParts
        Where the entry lies now.

    Raises
    ------
    SubmissionError
        It has changed, or there are other files beside the code, such as those that git ignores; the message tells
        which.
    ChallengeError, UsageError
        The file is no freeze, or a part of the entry can't be read.
    """
    freeze = read_freeze(path)
    changes = check_freeze(replace(freeze, references=None), parts)
    if changes:
        listed = "".join(f"\n  {change}" for change in changes)
        raise SubmissionError(f"{parts.code}: this is not the entry that was frozen in {path}:{listed}")
    frozen = {parts.code / file.name for file in freeze.code.files}
    known = {os.path.realpath(known) for known in (*frozen, *parts.weights, parts.environment)}
    strangers = [file for file in _files_of(parts.code) if os.path.realpath(file) not in known]
    if strangers:
        named = ", ".join(str(file.relative_to(parts.code)) for file in strangers[:_NAMED])
        raise SubmissionError(
            f"{parts.code}: {len(strangers)} files there are not frozen, and could be code: {named}; "
            "run the entry from a clean copy that holds what was frozen alone"
        )
    return freeze_digest(freeze)


def _files_of(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != ".git")
        yield from (Path(parent, name) for name in sorted(files))
