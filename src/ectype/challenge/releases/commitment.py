"""A commitment to the ground truth: published before a challenge, verified by everyone after it.

The commitment is SHA-256(salt ‖ truth) with 32 random bytes of salt: it tells nothing of the truth as long as the salt
is secret, and no other truth fits to it. What counts is who was copied from whom, not how the file is written.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ectype.challenge.releases.secrets import check_is_free, new_salt, read_salt, write_salt
from ectype.errors import ChallengeError
from ectype.evaluation import GroundTruth, read_ground_truth


def canonical_truth(truth: GroundTruth) -> bytes:
    """The one way of writing a ground truth: a JSON list of [query, reference], sorted; distractors have ""."""
    distractors = truth.queries - {query for query, _ in truth.pairs}
    rows = sorted([*truth.pairs, *((query, "") for query in distractors)])
    return json.dumps(rows, ensure_ascii=True, separators=(",", ":")).encode()


def commitment_of(truth: GroundTruth, salt: bytes) -> str:
    """The commitment, 64 hexadecimal digits."""
    return hashlib.sha256(salt + canonical_truth(truth)).hexdigest()


def commit_truth(truth: str | Path, salt_file: str | Path) -> str:
    """Commit to a ground truth under a new salt, which is written to a file that its owner alone may read.

    Parameters
    ----------
    truth : path
        ``ground_truth.csv``.
    salt_file : path
        Kept secret until the truth is published.

    Returns
    -------
    str
        The commitment, to be published before the challenge.

    Raises
    ------
    EvaluationError
        The truth can't be read.
    UsageError
        The salt file is there already.
    StorageError
        The disk refused.
    """
    check_is_free(salt_file)
    salt = new_salt()
    commitment = commitment_of(read_ground_truth(truth), salt)
    write_salt(salt_file, salt, commitment)
    return commitment


def verify_truth(truth: str | Path, salt_file: str | Path, commitment: str | None) -> None:
    """Raise unless a ground truth is the one that was committed to.

    Parameters
    ----------
    truth, salt_file : path
        As the host has published them after the challenge.
    commitment : str or None
        As the release has it that the host published before.

    Raises
    ------
    ChallengeError
        Another truth, the salt of another commitment, or none was published.
    EvaluationError
        The truth can't be read.
    """
    if commitment is None:
        raise ChallengeError("the release has no commitment to a ground truth; there is nothing to verify")
    salt, of = read_salt(salt_file)
    if of != commitment:
        raise ChallengeError(f"{salt_file}: is the salt of another commitment, {of}, not of {commitment}")
    if commitment_of(read_ground_truth(truth), salt) != commitment:
        raise ChallengeError(f"{truth}: is not the ground truth that was committed to before the challenge")
