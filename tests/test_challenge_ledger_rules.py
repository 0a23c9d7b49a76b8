"""Submitting: what the rules refuse, what a submission leaves behind, and limits under concurrency."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Iterator
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier
from pathlib import Path
from unittest import mock

import pytest

import challenge_ground
from challenge_ground import (
    DAY,
    DEADLINE,
    FREEZING,
    HOUR,
    OVER,
    PHASE1,
    PHASE2,
    START,
    SetClock,
    opened,
    truth_of,
    write_descriptors,
    write_matching,
)
from ectype.challenge.freezing.freeze import freeze_digest
from ectype.challenge.freezing.reference_digest import reference_digest
from ectype.challenge.hosting import submitting
from ectype.challenge.hosting.host import Host
from ectype.challenge.hosting.labels import split_labels
from ectype.challenge.hosting.refereeing import disqualify, record_freeze, register_team
from ectype.challenge.hosting.status import status_of
from ectype.challenge.hosting.submitting import Receipt, submit
from ectype.challenge.hosting.verifying import verify_challenge
from ectype.challenge.scoring import score_submission
from ectype.errors import ChallengeError, EctypeError, SubmissionError, UsageError
from test_challenge_freeze import frozen

MANY = 8


class Ground:
    """An open challenge whose clock can be set, with files to submit."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock = folder, SetClock()
        self.host = opened(folder, self.clock)
        self._made = 0

    def file(self, phase: int = 1) -> Path:
        """A matching submission like no other."""
        self._made += 1
        return write_matching(self.folder / "submission.csv", phase, seed=self._made)

    def submit(self, team: str = "red", freeze: str | None = None, phase: int = 1, path: Path | None = None) -> Receipt:
        return submit(self.host, path or self.file(phase), team, freeze)

    def freeze(self, team: str = "red", references: str | None = None) -> str:
        return record_freeze(self.host, frozen(team, references=references))

    @property
    def codes(self) -> list[str]:
        """Of the refusals that were recorded."""
        return [refusal.code for refusal in self.host.standing().refusals]


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    made = Ground(tmp_path)
    with made.host:
        yield made


def test_phase_1_tells_the_public_score_and_keeps_the_hidden_one(ground: Ground) -> None:
    path = write_matching(ground.folder / "s.csv", right=7)
    receipt = ground.submit(path=path)
    public, hidden = split_labels(truth_of(1), 0.5, "salt")
    kept = ground.host.standing().submissions[receipt.submission.number]
    for part, score in ((public, kept.score), (hidden, kept.hidden)):
        expected = score_submission(path, part)
        assert (score.micro_average_precision, score.recall_at_p90) == (
            expected.micro_average_precision,
            expected.recall_at_p90,
        )
    assert receipt.submission.score == kept.score and receipt.submission.hidden is None
    assert kept.score != kept.hidden
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    assert kept.sha256 == sha256 and (ground.folder / "submissions" / sha256).read_bytes() == path.read_bytes()
    assert (receipt.left.in_all, receipt.left.today) == (5, 1)
    assert receipt.to_dict()["score"] == {
        "micro_average_precision": kept.score.micro_average_precision,
        "recall_at_p90": kept.score.recall_at_p90,
    }


def test_phase_2_keeps_its_score(ground: Ground) -> None:
    freeze = ground.freeze()
    ground.clock.now = PHASE2
    receipt = ground.submit(freeze=freeze, phase=2)
    assert receipt.submission.score is None and receipt.to_dict()["score"] is None
    kept = ground.host.standing().submissions[receipt.submission.number]
    assert kept.score.micro_average_precision == 1.0 and kept.hidden is None
    assert (receipt.left.in_all, receipt.left.today) == (2, None)


@pytest.mark.parametrize(
    ("moment", "code", "message"),
    [
        (START, "too-early", "phase 1 opens at 2021-06-02T00:00:00Z"),
        (
            FREEZING,
            "between-phases",
            "phase 1 closed at 2021-06-12T00:00:00Z, and phase 2 opens at 2021-10-26T00:00:00Z",
        ),
        (DEADLINE, "between-phases", "submit again then"),
        (OVER, "too-late", "phase 2 closed at 2021-10-28T00:00:00Z; nothing can be submitted any more"),
    ],
)
def test_outside_of_the_windows_nothing_is_accepted(ground: Ground, moment, code, message) -> None:
    ground.clock.now = moment
    with pytest.raises(SubmissionError, match=message):
        ground.submit()
    assert ground.codes == [code]
    assert not ground.host.standing().submissions
    assert not (ground.folder / "submissions").exists()


def test_the_limits_of_a_day_and_in_all(ground: Ground) -> None:
    for day in range(3):
        ground.clock.now = PHASE1 + day * DAY
        assert [ground.submit().left.today for _ in range(2)] == [1, 0]
        if day < 2:
            with pytest.raises(SubmissionError, match="has used its 2 submissions of today"):
                ground.submit()
    ground.clock.now += DAY
    with pytest.raises(SubmissionError, match="has used all of its 6 submissions of phase 1"):
        ground.submit()
    assert ground.codes == ["limit-a-day", "limit-a-day", "limit"]
    assert len(ground.host.standing().submissions) == 6
    ground.submit(team="blue")  # limits are a team's
    ground.submit(path=write_descriptors(ground.folder / "d.h5"))  # and a track's


def test_the_fourth_submission_of_phase_2_is_refused(ground: Ground) -> None:
    freeze = ground.freeze()
    ground.clock.now = PHASE2
    for _ in range(3):
        ground.submit(freeze=freeze, phase=2)
    with pytest.raises(SubmissionError, match="has used all of its 3 submissions of phase 2"):
        ground.submit(freeze=freeze, phase=2)
    assert ground.codes == ["limit"]


def test_strangers_and_disqualified_teams(ground: Ground) -> None:
    with pytest.raises(SubmissionError, match=r"no team 'green' is registered \(blue, red\)"):
        ground.submit(team="green")
    assert ground.codes == []
    disqualify(ground.host, "red", "copied from blue")
    with pytest.raises(SubmissionError, match="team 'red' was disqualified: copied from blue"):
        ground.submit()
    assert ground.codes == ["disqualified"]


def test_the_same_file_again_does_not_count_twice(ground: Ground) -> None:
    path = ground.file()
    number = ground.submit(path=path).submission.number
    with pytest.raises(SubmissionError, match=f"this file in phase 1 already, as submission {number} at 2021"):
        ground.submit(path=path)
    assert ground.codes == [] and len(ground.host.standing().submissions) == 1
    ground.submit(team="blue", path=path)
    ground.clock.now = OVER
    with pytest.raises(SubmissionError, match="in phase 1 already"):
        ground.submit(path=path)


def test_a_file_that_is_invalid_is_refused_with_its_problems_and_not_kept(ground: Ground) -> None:
    path = ground.folder / "s.csv"
    path.write_text("query_id,reference_id,score\nQ00,stranger,1\nQ00,R00,nan\n")
    with pytest.raises(SubmissionError, match=r"(?s)unknown-reference.*non-finite-score"):
        ground.submit(path=path)
    assert ground.codes == ["invalid"]
    assert list((ground.folder / "submissions").iterdir()) == []
    with pytest.raises(SubmissionError, match="unknown-query"):
        ground.submit(path=write_matching(path, phase=2))  # the other phase's queries
    with pytest.raises(SubmissionError, match="there is no such file"):
        ground.submit(path=ground.folder / "none.csv")
    assert not ground.host.standing().submissions


def test_a_track_that_the_challenge_does_not_have(tmp_path: Path) -> None:
    with mock.patch.object(challenge_ground, "SETTINGS", challenge_ground.SETTINGS.replace(', "descriptor"', "")):
        ground = Ground(tmp_path)
    with ground.host, pytest.raises(SubmissionError, match="has no descriptor track"):
        ground.submit(path=write_descriptors(tmp_path / "d.h5"))


# Freezes


def test_phase_2_needs_a_freeze_that_the_team_recorded_in_time(ground: Ground) -> None:
    own, foreign = ground.freeze(), ground.freeze("blue")
    ground.clock.now = DEADLINE
    late = frozen("red", "late.py")
    with pytest.raises(SubmissionError):
        record_freeze(ground.host, late)
    ground.clock.now = PHASE2
    for freeze, code, message in (
        (None, "no-freeze", "add --freeze DIGEST"),
        ("0" * 64, "unknown-freeze", f"name one that is: {own}"),
        (foreign, "foreign-freeze", "is not of team 'red'"),
        (freeze_digest(late), "late-freeze", "came after the deadline, 2021-06-14T00:00:00Z"),
    ):
        with pytest.raises(SubmissionError, match=message):
            ground.submit(freeze=freeze, phase=2)
        assert ground.codes[-1] == code
    assert ground.submit(freeze=own, phase=2).submission.freeze == own


def test_the_descriptor_tracks_reference_vectors_must_be_the_frozen_ones(ground: Ground) -> None:
    path = write_descriptors(ground.folder / "d.h5")
    freeze, without = ground.freeze(references=reference_digest(path)), ground.freeze()
    ground.submit(path=path)
    ground.clock.now = PHASE2
    with pytest.raises(SubmissionError, match="are not the frozen ones"):
        ground.submit(path=write_descriptors(path, phase=2, references=1), freeze=freeze)
    with pytest.raises(SubmissionError, match="the freeze holds no reference descriptors"):
        ground.submit(path=write_descriptors(path, phase=2), freeze=without)
    assert ground.codes == ["references", "references"]
    assert ground.submit(path=path, freeze=freeze).submission.track == "descriptor"
    ground.submit(phase=2, freeze=without)  # the matching track has none to change


# Teams


def test_names_of_teams_and_disqualifications(ground: Ground) -> None:
    host = ground.host
    for name, message in (
        ("red", "registered already"),
        (" ", "is one line"),
        ("a\nb", "one line"),
        ("x" * 61, "at most"),
    ):
        with pytest.raises(UsageError, match=message):
            register_team(host, name, eligible=True)
    number = ground.submit().submission.number
    for arguments, message in (
        (("red", " "), "needs its reason"),
        (("green", "x"), "no team 'green' is registered; there are blue, red"),
        (("red", "x", 999), f"has no submission 999; it has {number}"),
        (("blue", "x", number), "it has none"),
    ):
        with pytest.raises(UsageError, match=message):
            disqualify(host, *arguments)
    for arguments in (("red", "x", number), ("red", "y")):
        disqualify(host, *arguments)
        with pytest.raises(UsageError, match=f"disqualified already: {arguments[1]}"):
            disqualify(host, *arguments)


def test_the_progress_of_scoring_is_told_in_hundredths(ground: Ground) -> None:
    told: list[int] = []
    submit(ground.host, write_descriptors(ground.folder / "d.h5"), "red", on_progress=told.append)
    assert sum(told) == 100


# Cut short


def test_scoring_that_was_cut_short_is_completed_by_the_same_file(ground: Ground) -> None:
    path = ground.file()
    with mock.patch.object(submitting, "submission_matches", side_effect=MemoryError), pytest.raises(MemoryError):
        ground.submit(path=path)
    (cut,) = ground.host.standing().unscored
    status = status_of(ground.host.settings, ground.host.standing(), OVER).to_dict()
    assert status["unscored"] == [cut.number] and status["next"] is None and status["teams"][0]["left"] == {}
    ground.clock.now = FREEZING + HOUR  # it counted in time
    receipt = ground.submit(path=path)
    assert receipt.submission.number == cut.number and receipt.submission.time == PHASE1
    assert receipt.submission.score is not None
    assert len(ground.host.standing().submissions) == 1 and not ground.host.standing().unscored


def test_a_file_that_changes_while_it_is_read_is_refused(ground: Ground) -> None:
    path = ground.file()
    copy = submitting.shutil.copyfile

    def change_and_copy(source: Path, target: Path) -> None:
        Path(source).write_text("query_id,reference_id,score\n")
        copy(source, target)

    with (
        mock.patch.object(submitting.shutil, "copyfile", change_and_copy),
        pytest.raises(SubmissionError, match="was changed while it was read"),
    ):
        ground.submit(path=path)
    assert list((ground.folder / "submissions").iterdir()) == []


def test_a_kept_file_that_is_damaged_is_not_taken_for_the_submitted_one(ground: Ground) -> None:
    path = ground.file()
    ground.submit(path=path)
    (kept,) = (ground.folder / "submissions").iterdir()
    kept.write_text("damaged")
    with pytest.raises(ChallengeError, match="is damaged; remove it, and submit again"):
        ground.submit(team="blue", path=path)


# Many at once


def submit_one(folder: Path, number: int, barrier: Barrier, results: Queue) -> None:
    """In a process of its own."""
    path = write_matching(folder / f"{number}.csv", seed=number)
    try:
        with Host(folder, SetClock(PHASE1)) as host:
            barrier.wait(60)
            submit(host, path, "red")
            results.put("accepted")
    except EctypeError as error:
        results.put(str(error))


def test_of_many_processes_that_submit_at_once_exactly_the_limit_is_accepted(tmp_path: Path) -> None:
    opened(tmp_path, SetClock()).close()
    context = multiprocessing.get_context("forkserver")  # a fork of this process could come amid its threads
    context.set_forkserver_preload([__name__])
    results, barrier = context.Queue(), context.Barrier(MANY)
    processes = [
        context.Process(target=submit_one, args=(tmp_path, number, barrier, results)) for number in range(MANY)
    ]
    for process in processes:
        process.start()
    found = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert found.count("accepted") == 2, found
    assert all("submissions of today" in text for text in found if text != "accepted")
    assert verify_challenge(tmp_path).problems == ()
    with Host(tmp_path, SetClock(PHASE1)) as host:
        assert len(host.standing().submissions) == 2 and len(host.standing().refusals) == MANY - 2
