"""Validating a submission of either track."""

from __future__ import annotations

from pathlib import Path

from ectype.challenge.manifest import Manifest
from ectype.challenge.tracks import track_of
from ectype.challenge.validation.inspector import Inspector
from ectype.challenge.validation.matching_track import check_matching
from ectype.challenge.validation.problems import ValidationReport


def validate_submission(
    path: str | Path, manifest: Manifest | None, inspector: Inspector | None = None
) -> ValidationReport:
    """Find everything that is wrong with a submission, of the track that its content tells.

    Parameters
    ----------
    path : str or Path
    manifest : Manifest or None
        Of the phase: the queries and references there are. Without it any ids will do.
    inspector : Inspector, optional
        The process that opens HDF5 files, for those who validate many; one is started for this file otherwise.

    Raises
    ------
    SubmissionError
        There is no such file, or the disk refuses.
    """
    track = track_of(path)
    if track == "matching":
        return check_matching(path, manifest).report(track)
    if inspector is not None:
        return inspector.inspect(path, manifest).report(track)
    with Inspector() as own:
        return own.inspect(path, manifest).report(track)
