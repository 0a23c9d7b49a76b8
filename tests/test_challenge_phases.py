"""Settings, phases and limits: where a challenge stands at a moment, and what opens it."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from challenge_ground import DEADLINE, FREEZING, HOUR, OVER, PHASE1, PHASE2, SETTINGS, START, SetClock, made
from ectype.challenge.hosting.host import Host
from ectype.challenge.hosting.labels import is_public, split_labels
from ectype.challenge.hosting.ledger import Ledger
from ectype.challenge.hosting.opening import open_challenge
from ectype.challenge.hosting.phases import STAGES, allowance, state_at
from ectype.challenge.hosting.settings import Phase, Settings, SettingsFile
from ectype.challenge.hosting.template import create_challenge
from ectype.errors import ChallengeError, StorageError, UsageError
from ectype.evaluation import GroundTruth, read_ground_truth

TICK = timedelta(microseconds=1)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return SettingsFile(made(tmp_path_factory.mktemp("challenge"))).settings()


moments = st.datetimes(datetime(2021, 5, 1), datetime(2021, 12, 1), timezones=st.just(UTC))


@pytest.mark.parametrize(
    ("moment", "stage", "phase"),
    [
        (START, "before", None),
        (PHASE1 - TICK, "before", None),
        (PHASE1, "phase 1", 1),
        (FREEZING - TICK, "phase 1", 1),
        (FREEZING, "freezing", None),
        (DEADLINE - TICK, "freezing", None),
        (DEADLINE, "frozen", None),
        (PHASE2 - TICK, "frozen", None),
        (PHASE2, "phase 2", 2),
        (OVER - TICK, "phase 2", 2),
        (OVER, "over", None),
    ],
)
def test_a_window_includes_its_first_moment_and_excludes_its_last(settings, moment, stage, phase) -> None:
    state = state_at(settings, moment)
    assert (state.stage, state.phase) == (stage, phase)


@given(times=st.tuples(moments, moments))
def test_time_only_moves_the_state_forward(settings, times) -> None:
    earlier, later = (state_at(settings, moment) for moment in sorted(times))
    assert STAGES.index(earlier.stage) <= STAGES.index(later.stage)


@given(moment=moments)
def test_a_stage_ends_where_the_next_begins(settings, moment) -> None:
    state = state_at(settings, moment)
    if state.until is None:
        assert state.stage == "over" and state.following is None
    else:
        assert moment < state.until
        assert state_at(settings, state.until - TICK) == state
        assert state_at(settings, state.until).stage == state.following


@given(moment=moments, hours=st.integers(-12, 14))
def test_the_state_does_not_depend_on_the_time_zone_of_the_clock(settings, moment, hours) -> None:
    assert state_at(settings, moment.astimezone(timezone(timedelta(hours=hours)))) == state_at(settings, moment)


def test_a_time_without_a_zone_is_refused(settings) -> None:
    with pytest.raises(UsageError, match="needs its time zone"):
        state_at(settings, datetime(2021, 6, 2))


@given(submitted=st.lists(moments, max_size=12), now=moments, in_all=st.integers(1, 9), a_day=st.integers(1, 4))
def test_limits_count_by_the_day_of_utc(submitted, now, in_all, a_day) -> None:
    phase = Phase(PHASE1, OVER, "m", "g", in_all, a_day)
    left = allowance(phase, submitted, now)
    day = now.replace(hour=0, minute=0, second=0, microsecond=0)
    today = [time for time in submitted if day <= time < day + timedelta(days=1)]
    assert left.today == max(0, a_day - len(today))
    assert left.in_all == max(0, in_all - len(submitted))
    assert left.now == min(left.today, left.in_all)
    assert allowance(dataclasses.replace(phase, submissions_a_day=None), submitted, now).today is None


def test_midnight_of_utc_begins_a_day_whatever_the_zone_of_the_clock() -> None:
    phase = Phase(PHASE1, OVER, "m", "g", 9, 1)
    evening = datetime(2021, 6, 3, 23, 59, tzinfo=UTC)
    elsewhere = timezone(timedelta(hours=9))
    assert allowance(phase, [evening], (evening + timedelta(minutes=1)).astimezone(elsewhere)).today == 1
    assert allowance(phase, [evening], (evening - HOUR).astimezone(elsewhere)).today == 0


# Settings


def test_phase_2_is_48_hours_long_with_three_submissions_unless_said_otherwise(settings) -> None:
    assert settings.phase2.closes - settings.phase2.opens == timedelta(hours=48)
    assert settings.phase2.submissions == 3 and settings.phase2.submissions_a_day is None


def test_a_new_challenge_has_settings_that_can_be_used(tmp_path: Path) -> None:
    now = datetime(2021, 5, 31, 15, tzinfo=UTC)
    create_challenge(tmp_path / "new", "A challenge", "data", now)
    settings = SettingsFile(tmp_path / "new").settings()
    assert settings.phase1.opens == START
    assert settings.name == "A challenge"
    with pytest.raises(ChallengeError, match="is there already"):
        create_challenge(tmp_path / "new", "A challenge", "data", now)
    with pytest.raises(ChallengeError, match="one line without quotes"):
        create_challenge(tmp_path / "other", 'A "challenge"', "data", now)
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="can't be written"):
        create_challenge(tmp_path / "file" / "new", "A challenge", "data", now)


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        ('name = "Small challenge"', 'name = ""', "name: must be a text of one line that is not empty, not ''"),
        ('"matching", "descriptor"', '"matching", "matching"', "tracks: must be a list of"),
        ('"matching", "descriptor"', "3", "tracks: must be a list of"),
        ("prizes = 2", "prizes = -1", "prizes: must be a whole number from 0, not -1"),
        ("prizes = 2", "prices = 2", "prices: no such setting"),
        ("prizes = 2", "[[prizes]]", "prizes: must be a whole number"),
        ("submissions = 6", "submissions = true", "phase1.submissions: must be a whole number from 1, not True"),
        ("submissions = 6", "", "phase1.submissions: is missing"),
        ("submissions = 6", "submissions = 1", "phase1.submissions_a_day: 2 a day are more than the 1 in all"),
        (
            'salt = "salt"',
            'salt = "salt"\npublic_share = 1.0',
            "phase1.public_share: must be a number above 0 and below",
        ),
        ("2021-06-12T00:00:00Z", "2021-06-12T00:00:00", "phase1.closes: must be a time with its time zone"),
        ("2021-06-12T00:00:00Z", "2021-06-12", "phase1.closes: must be a time with its time zone"),
        ("2021-06-12T00:00:00Z", "2021-06-02T00:00:00Z", "phase1.closes: must come after phase1.opens"),
        ("2021-06-14T00:00:00Z", "2021-06-11T00:00:00Z", "freeze.deadline: must come after phase1.closes"),
        ("2021-06-14T00:00:00Z", "2021-10-27T00:00:00Z", "phase2.opens: must come after freeze.deadline"),
        ("data/manifest.csv", "data/none.csv", "phase1.manifest: .*none.csv: there is no such file"),
        ("data/ground_truth.csv", "data/manifest.csv", "phase1.ground_truth: .*rows are wrong"),
        ("data/manifest-phase2.csv", "data/manifest.csv", "phase2.manifest: must have new queries"),
        (
            "data/phase2/ground_truth.csv",
            "data/ground_truth.csv",
            "phase2.ground_truth: queries that the manifest lacks",
        ),
    ],
)
def test_the_opening_says_what_is_wrong(tmp_path: Path, before: str, after: str, problem: str) -> None:
    made(tmp_path)
    assert before in SETTINGS
    (tmp_path / "challenge.toml").write_text(SETTINGS.replace(before, after))
    with pytest.raises(ChallengeError, match=problem):
        open_challenge(tmp_path, SetClock())
    assert not (tmp_path / "ledger.sqlite").exists()


def test_the_opening_says_everything_that_is_wrong_at_once(tmp_path: Path) -> None:
    made(tmp_path)
    text = SETTINGS.replace("prizes = 2", "prizes = -2").replace("2021-06-12T00:00:00Z", "2021-06-12T00:00:00")
    text = text.replace("2021-06-14T00:00:00Z", "2021-12-14T00:00:00Z").replace("data/manifest.csv", "data/none.csv")
    (tmp_path / "challenge.toml").write_text(text)
    (tmp_path / "data" / "phase2" / "ground_truth.csv").write_text("P00,R00\nP01,stranger\n")
    with pytest.raises(ChallengeError) as raised:
        open_challenge(tmp_path, SetClock())
    message = str(raised.value)
    assert "6 problems" in message
    for problem in (
        "prizes: must be",
        "phase1.closes: must be",
        "phase2.opens: must come after freeze.deadline",
        "phase1.manifest",
        "phase2.ground_truth: references that the manifest lacks: 1 (stranger)",
        "phase2.ground_truth: no line for queries of the manifest: 18 (P02, P03, P04, P05, P06 …)",
    ):
        assert problem in message


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"name = ", "not a TOML file"), (b"\xff", "not a TOML file in UTF-8"), (None, "there is no such file")],
)
def test_settings_that_are_none(tmp_path: Path, content: bytes | None, problem: str) -> None:
    if content is not None:
        (tmp_path / "challenge.toml").write_bytes(content)
    with pytest.raises(ChallengeError, match=problem):
        SettingsFile(tmp_path)
    (tmp_path / "folder" / "challenge.toml").mkdir(parents=True)
    with pytest.raises(ChallengeError, match="can't be read"):
        SettingsFile(tmp_path / "folder")


def test_references_of_phase_2_must_be_those_of_phase_1(tmp_path: Path) -> None:
    made(tmp_path)
    manifest = tmp_path / "data" / "manifest-phase2.csv"
    manifest.write_text(manifest.read_text().replace("R09", "R99"))
    with pytest.raises(ChallengeError, match=r"must have phase 1's references; these differ: 2 \(R09, R99\)"):
        open_challenge(tmp_path, SetClock())


def test_labels_without_copies_are_refused(tmp_path: Path) -> None:
    made(tmp_path)
    text = SETTINGS.replace('salt = "salt"', 'salt = "salt"\npublic_share = 0.0001')
    (tmp_path / "challenge.toml").write_text(text)
    with pytest.raises(ChallengeError, match=r"phase1\.public_share: leaves no copies among the public labels"):
        open_challenge(tmp_path, SetClock())
    truth = tmp_path / "data" / "ground_truth.csv"
    truth.write_text("".join(f"Q{number:02},\n" for number in range(20)))
    with pytest.raises(ChallengeError, match=r"phase1\.ground_truth: holds no copies"):
        open_challenge(tmp_path, SetClock())


def test_settings_check_themselves(settings) -> None:
    with pytest.raises(ChallengeError, match=r"prizes: must be a whole number"):
        dataclasses.replace(settings, prizes=-1)
    with pytest.raises(ChallengeError, match=r"phase1\.opens: must be a time"):
        dataclasses.replace(settings, phase1=dataclasses.replace(settings.phase1, opens=datetime(2021, 6, 2)))


# Opening


def test_a_challenge_is_opened_once_and_before_phase_1_ends(tmp_path: Path) -> None:
    made(tmp_path)
    with pytest.raises(ChallengeError, match="has passed"):
        open_challenge(tmp_path, SetClock(FREEZING))
    with pytest.raises(ChallengeError, match="not open yet"):
        Host(tmp_path)
    head = open_challenge(tmp_path, SetClock())
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert [row.digest for row in ledger.rows()] == [head]
    with pytest.raises(ChallengeError, match="was opened already, at 2021-06-01T00:00:00Z"):
        open_challenge(tmp_path, SetClock())


def test_a_challenge_without_a_ledger_is_not_open(tmp_path: Path) -> None:
    with pytest.raises(ChallengeError, match="not open yet"):
        Host(made(tmp_path))
    assert not (tmp_path / "ledger.sqlite").exists()


def test_the_opening_hands_out_the_public_labels(tmp_path: Path) -> None:
    made(tmp_path)
    open_challenge(tmp_path, SetClock())
    truth = read_ground_truth(tmp_path / "data" / "ground_truth.csv")
    public, _ = split_labels(truth, 0.5, "salt")
    assert read_ground_truth(tmp_path / "public_ground_truth.csv") == public


def test_changes_after_the_opening_are_refused_with_what_changed(tmp_path: Path) -> None:
    made(tmp_path)
    open_challenge(tmp_path, SetClock())
    text = SETTINGS.replace("2021-06-14", "2021-06-15").replace("prizes = 2", "prizes = 2 # a comment changes nothing")
    (tmp_path / "challenge.toml").write_text(text.replace("submissions_a_day = 2\n", ""))
    truth = tmp_path / "data" / "phase2" / "ground_truth.csv"
    truth.write_text(truth.read_text().replace("P00,R00", "P00,R01"))
    (tmp_path / "data" / "manifest.csv").unlink()
    with pytest.raises(ChallengeError) as raised:
        Host(tmp_path, SetClock())
    message = str(raised.value)
    assert "4 problems" in message
    assert "phase1.manifest: " in message and "there is no such file" in message
    assert "freeze.deadline: was 2021-06-14T00:00:00Z, and is 2021-06-15T00:00:00Z" in message
    assert "phase1.submissions_a_day: was 2, and is left open" in message
    assert "phase2.ground_truth: " in message and "has other content" in message


# Labels


@given(
    ids=st.frozensets(st.text(max_size=5), max_size=30),
    more=st.frozensets(st.text(max_size=5), max_size=5),
    share=st.floats(0.01, 0.99),
)
def test_whether_a_label_is_public_depends_on_its_query_alone(ids, more, share) -> None:
    public, hidden = split_labels(GroundTruth(ids, frozenset()), share, "salt")
    assert public.queries | hidden.queries == ids and not public.queries & hidden.queries
    other, _ = split_labels(GroundTruth(ids | more, frozenset()), share, "salt")
    assert other.queries & ids == public.queries


def test_the_share_of_public_labels_is_the_one_asked_for() -> None:
    ids = [f"Q{number}" for number in range(20_000)]
    for share in (0.1, 0.5, 0.9):
        assert abs(sum(is_public(name, share, "salt") for name in ids) / len(ids) - share) < 0.02
    assert [is_public(name, 0.5, "salt") for name in ids] != [is_public(name, 0.5, "other") for name in ids]
