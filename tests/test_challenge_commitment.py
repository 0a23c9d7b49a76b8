from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectype.challenge.releases import commit_truth, verify_truth
from ectype.challenge.releases.commitment import canonical_truth, commitment_of
from ectype.errors import ChallengeError, EvaluationError, UsageError
from ectype.evaluation import GroundTruth

IDS = st.text(min_size=1, max_size=6)
TRUTHS = st.builds(
    lambda copies, distractors: GroundTruth(
        frozenset(copies) | distractors, frozenset((query, reference) for query, reference in copies.items())
    ),
    st.dictionaries(IDS, IDS, max_size=5),
    st.frozensets(IDS, max_size=5),
)
SALT = bytes(32)


@given(TRUTHS, TRUTHS)
def test_two_truths_have_one_commitment_only_if_they_are_equal(one: GroundTruth, other: GroundTruth) -> None:
    assert (canonical_truth(one) == canonical_truth(other)) == (one == other)
    assert (commitment_of(one, SALT) == commitment_of(other, SALT)) == (one == other)


@given(TRUTHS, st.binary(min_size=32, max_size=32))
def test_another_salt_makes_another_commitment(truth: GroundTruth, salt: bytes) -> None:
    assert (commitment_of(truth, salt) == commitment_of(truth, SALT)) == (salt == SALT)


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    (tmp_path / "truth.csv").write_text("query_id,reference_id\nq1,r7\nq2,\nq3,r1\n")
    return tmp_path / "truth.csv"


def test_the_truth_is_verified_however_it_is_written(truth: Path, tmp_path: Path) -> None:
    salt = tmp_path / "salt"
    commitment = commit_truth(truth, salt)
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600
    verify_truth(truth, salt, commitment)
    truth.write_text('q3,r1\n"q2",""\nq1,r7\n')
    verify_truth(truth, salt, commitment)
    for changed in ("q1,r7\nq2,\n", "q1,r7\nq2,\nq3,\n", "q1,r1\nq2,\nq3,r7\n", "q1,r7\nq2,r1\nq3,r1\n"):
        truth.write_text(changed)
        with pytest.raises(ChallengeError, match=r"truth\.csv: is not the ground truth that was committed to"):
            verify_truth(truth, salt, commitment)


def test_two_commitments_to_one_truth_differ(truth: Path, tmp_path: Path) -> None:
    one, other = (commit_truth(truth, tmp_path / name) for name in ("one", "other"))
    assert one != other
    with pytest.raises(ChallengeError, match=r"other: is the salt of another commitment"):
        verify_truth(truth, tmp_path / "other", one)


def test_what_can_not_be_committed_or_verified_says_why(truth: Path, tmp_path: Path) -> None:
    salt = tmp_path / "salt"
    commit_truth(truth, salt)
    content = salt.read_bytes()
    with pytest.raises(UsageError, match=r"salt: is there already, and a secret is never overwritten"):
        commit_truth(truth, salt)
    assert salt.read_bytes() == content
    with pytest.raises(ChallengeError, match=r"the release has no commitment to a ground truth"):
        verify_truth(truth, salt, None)
    with pytest.raises(ChallengeError, match=r"no file of the form ectype-salt-1"):
        verify_truth(truth, truth, "0" * 64)
    truth.write_text("q1\n")
    with pytest.raises(EvaluationError):
        commit_truth(truth, tmp_path / "new")
    assert not (tmp_path / "new").exists()
