"""The ledger: append-only, chained, and true to the clock."""

from __future__ import annotations

import dataclasses
import sqlite3
from datetime import UTC, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from challenge_ground import HOUR, PHASE1, START, SetClock, opened, write_matching
from ectype.challenge.freezing.freeze import write_freeze
from ectype.challenge.hosting.chain import START as BEGINNING
from ectype.challenge.hosting.chain import Row, entries_of, row_of
from ectype.challenge.hosting.events import (
    Accepted,
    Disqualified,
    Entry,
    Event,
    Frozen,
    Opened,
    Refused,
    Registered,
    Score,
    Scored,
    decode_event,
    encode_event,
    kind_of,
)
from ectype.challenge.hosting.ledger import Ledger, clock_at
from ectype.challenge.hosting.refereeing import record_freeze
from ectype.challenge.hosting.submitting import submit
from ectype.challenge.hosting.verifying import verify_challenge
from ectype.errors import ChallengeError
from test_challenge_freeze import frozen

text = st.text(st.characters(codec="utf-8"), max_size=6)
scores = st.builds(Score, st.floats(0, 1), st.none() | st.floats(0, 1))
events = st.one_of(
    st.builds(Opened, st.dictionaries(text, text | st.integers()), st.dictionaries(text, text)),
    st.builds(Registered, text, st.booleans()),
    st.builds(Frozen, text, text, st.none() | text),
    st.builds(Accepted, text, st.sampled_from(["matching", "descriptor"]), st.sampled_from([1, 2]), text, st.none()),
    st.builds(Scored, st.integers(1), scores, st.none() | scores),
    st.builds(Refused, text, text, text, text),
    st.builds(Disqualified, text, st.none() | st.integers(1), text),
)


@given(event=events)
def test_an_event_is_read_as_it_was_written(event: Event) -> None:
    assert decode_event(kind_of(event), encode_event(event)) == event


@pytest.mark.parametrize(
    ("kind", "content"),
    [("x", "{}"), ("registered", "{}"), ("registered", "["), ("registered", "3"), ("scored", '{"score": 3}')],
)
def test_what_is_no_event(kind: str, content: str) -> None:
    with pytest.raises(ChallengeError, match="no event that this version"):
        decode_event(kind, content)


# The chain


def rows_of(events: list[Event]) -> list[Row]:
    rows: list[Row] = []
    previous = BEGINNING
    for number, event in enumerate(events, 1):
        rows.append(row_of(Entry(number, START + number * HOUR, False, event), previous))
        previous = rows[-1].digest
    return rows


@given(st.data())
def test_the_chain_names_the_first_row_that_does_not_fit(data) -> None:
    rows = rows_of(data.draw(st.lists(events, min_size=2, max_size=6, unique_by=encode_event)))
    assert [entry.event for entry in entries_of(rows)] == [decode_event(row.kind, row.content) for row in rows]
    place = data.draw(st.integers(0, len(rows) - 1))
    change = data.draw(st.sampled_from(["content", "time", "time_given", "kind", "digest", "delete", "insert", "swap"]))
    changed, first = list(rows), rows[place].number
    match change:
        case "content":
            changed[place] = dataclasses.replace(rows[place], content=rows[place].content + " ")
        case "time":
            changed[place] = dataclasses.replace(rows[place], time=START.isoformat())
        case "time_given":
            changed[place] = dataclasses.replace(rows[place], time_given=1)
        case "kind":
            changed[place] = dataclasses.replace(rows[place], kind=rows[place].kind + "x")
        case "digest":
            changed[place] = dataclasses.replace(rows[place], digest="0" * 64)
        case "delete":
            if place == len(rows) - 1:
                return  # this shows only against a published head
            del changed[place]
            first = rows[place + 1].number
        case "insert":
            changed.insert(place, dataclasses.replace(rows[place], content="{}"))
        case "swap":
            other = (place + 1) % len(rows)
            first = min(rows[place].number, rows[other].number)
            contents = [dataclasses.astuple(row)[1:] for row in rows]
            contents[place], contents[other] = contents[other], contents[place]
            changed = [Row(number, *content) for number, content in enumerate(contents, 1)]
    with pytest.raises(ChallengeError, match=f"row {first} of the ledger does not fit"):
        entries_of(changed)


# The database


@pytest.fixture
def ledger(tmp_path: Path):
    with Ledger(tmp_path / "ledger.sqlite", SetClock()) as ledger:
        yield ledger


def record(ledger: Ledger, *teams: str) -> None:
    for team in teams:
        with ledger.writing() as writing:
            writing.append(Registered(team, True))


def record_and_fail(ledger: Ledger) -> None:
    with ledger.writing() as writing:
        writing.append(Registered("green", True))
        raise ZeroDivisionError


def teams(ledger: Ledger) -> list[str]:
    return [entry.event.team for entry in ledger.entries()]


def test_what_was_recorded_is_read_in_order_with_its_time(ledger: Ledger, tmp_path: Path) -> None:
    ledger._clock.now = START.astimezone(timezone(timedelta(hours=5)))
    record(ledger, "red", "blue")
    with Ledger(tmp_path / "ledger.sqlite", clock_at(PHASE1), time_given=True) as rehearsed:
        record(rehearsed, "green")
    assert teams(ledger) == ["red", "blue", "green"]
    assert [entry.time for entry in ledger.entries()] == [START, START, PHASE1]
    assert [entry.time.tzinfo for entry in ledger.entries()] == [UTC] * 3
    assert [entry.time_given for entry in ledger.entries()] == [False, False, True]


def test_several_events_of_one_transaction_are_recorded_together_or_not_at_all(ledger: Ledger) -> None:
    with ledger.writing() as writing:
        writing.append(Registered("red", True))
        writing.append(Registered("blue", True))
        assert len(writing.entries) == 2
    with pytest.raises(ZeroDivisionError):
        record_and_fail(ledger)
    assert teams(ledger) == ["red", "blue"]


def test_a_clock_that_was_moved_back_is_refused(ledger: Ledger) -> None:
    record(ledger, "red")
    ledger._clock.now = START - timedelta(microseconds=1)
    with pytest.raises(ChallengeError, match="set the clock right"):
        record(ledger, "blue")
    ledger._clock.now = START
    record(ledger, "green")
    assert teams(ledger) == ["red", "green"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events SET content = '{}'",
        "UPDATE events SET number = number + 10",
        "DELETE FROM events",
        "DELETE FROM events WHERE number = 2",
        "INSERT OR REPLACE INTO events SELECT * FROM events WHERE number = 1",
        "REPLACE INTO events SELECT 2, time, time_given, kind, '{}', digest FROM events WHERE number = 1",
        "INSERT INTO events SELECT 9, time, time_given, kind, content, digest FROM events WHERE number = 1",
        "INSERT INTO events SELECT 0, time, time_given, kind, content, digest FROM events WHERE number = 1",
        "INSERT INTO events SELECT 3, time, 'no', kind, content, digest FROM events WHERE number = 1",
    ],
)
def test_the_database_itself_refuses_to_change_the_past(ledger: Ledger, tmp_path: Path, statement: str) -> None:
    record(ledger, "red", "blue")
    before = ledger.rows()
    with (
        sqlite3.connect(tmp_path / "ledger.sqlite") as connection,
        pytest.raises(sqlite3.IntegrityError, match=r"append-only|cannot store"),
    ):
        connection.execute(statement)
    connection.close()
    assert ledger.rows() == before


def test_a_file_that_is_no_ledger(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(ChallengeError, match="not a sound ledger"):
        Ledger(path)
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (x)")
    connection.close()
    with pytest.raises(ChallengeError, match="it belongs to another program"):
        Ledger(path)


# Verification


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    clock = SetClock()
    with opened(tmp_path, clock) as host:
        record_freeze(host, frozen("red"))
        for seed in range(2):
            clock.now += HOUR
            submit(host, write_matching(tmp_path / "s.csv", seed=seed), "red")
    assert verify_challenge(tmp_path).problems == ()
    return tmp_path


def tamper(folder: Path, *statements: str) -> None:
    """As somebody who knows SQLite, but does not compute the chain anew."""
    connection = sqlite3.connect(folder / "ledger.sqlite", isolation_level=None)
    for name in ("events_never_change", "events_never_vanish", "events_come_last"):
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    connection.close()


ROWS = 8  # opened, two teams, a freeze, two submissions and their scores
UP = "UPDATE events SET number = number + 1000 WHERE number >= {}"
DOWN = "UPDATE events SET number = number - {} WHERE number >= 1000"


@pytest.mark.parametrize("number", range(1, ROWS + 1))
@pytest.mark.parametrize("change", ["change", "delete", "swap", "insert"])
def test_any_row_that_is_tampered_with_is_named(folder: Path, number: int, change: str) -> None:
    first = number
    match change:
        case "change":
            tamper(folder, f"UPDATE events SET content = replace(content, '0', '1') || ' ' WHERE number = {number}")
        case "delete":
            tamper(folder, f"DELETE FROM events WHERE number = {number}", UP.format(number + 1), DOWN.format(1001))
            if number == ROWS:
                return  # the end that was cut off has a test of its own
        case "swap":
            other = number % ROWS + 1
            first = min(number, other)
            swap = "UPDATE events SET number = {} WHERE number = {}"
            tamper(folder, swap.format(1000, number), swap.format(number, other), swap.format(other, 1000))
        case "insert":
            columns = f"{number}, time, time_given, kind, content, digest"
            copy = f"INSERT INTO events SELECT {columns} FROM events WHERE number = {1000 + number}"
            tamper(folder, UP.format(number), copy, DOWN.format(999))
            first = number + 1  # the copy fits where it stands; the row after it does not
    (problem,) = verify_challenge(folder).problems
    assert problem.startswith(f"row {first} of the ledger does not fit")


@pytest.mark.parametrize("cut", range(1, ROWS))
def test_an_end_that_was_cut_off_shows_against_a_published_head(folder: Path, cut: int) -> None:
    head = verify_challenge(folder).head
    assert verify_challenge(folder, head).problems == ()
    tamper(folder, f"DELETE FROM events WHERE number > {ROWS - cut}")
    assert verify_challenge(folder).problems == ()  # what is left is a true ledger
    (problem,) = verify_challenge(folder, head).problems
    assert "the published head" in problem and head in problem


def test_a_ledger_that_was_written_anew_shows_against_a_published_head(folder: Path, tmp_path: Path) -> None:
    with Ledger(folder / "ledger.sqlite") as ledger:
        entries, head = ledger.entries(), ledger.rows()[3].digest
    assert verify_challenge(folder, head).problems == ()  # a head of long ago
    (folder / "ledger.sqlite").unlink()
    clock = SetClock()
    with Ledger(folder / "ledger.sqlite", clock) as ledger:
        for entry in entries:
            clock.now = entry.time
            with ledger.writing() as writing:
                writing.append(Registered("red", False) if entry.number == 2 else entry.event)
    assert verify_challenge(folder).problems == ()
    assert len(verify_challenge(folder, head).problems) == 1


def test_submissions_freezes_settings_and_data_are_verified(folder: Path) -> None:
    first, second = sorted((folder / "submissions").iterdir())
    first.write_text("another")
    second.unlink()
    (freeze,) = (folder / "freezes").iterdir()
    write_freeze(freeze, frozen("blue"))
    settings = folder / "challenge.toml"
    settings.write_text(settings.read_text().replace("prizes = 2", "prizes = 1"))
    problems = "\n".join(verify_challenge(folder).problems)
    assert len(verify_challenge(folder).problems) == 4
    assert "prizes: was 2, and is 1" in problems
    assert f"{first} has other content" in problems
    assert f"{second}: there is no such file" in problems
    assert "freeze of team 'red': " in problems
    freeze.write_text("{}")
    settings.unlink()
    problems = "\n".join(verify_challenge(folder).problems)
    assert "no freeze" in problems and "challenge.toml: there is no such file" in problems


def test_nothing_to_verify(tmp_path: Path) -> None:
    with pytest.raises(ChallengeError, match="there is no such file"):
        verify_challenge(tmp_path)
    Ledger(tmp_path / "ledger.sqlite").close()
    assert verify_challenge(tmp_path).problems == ("the challenge was never opened",)


def test_events_that_name_what_is_not_there_are_told(folder: Path) -> None:
    with Ledger(folder / "ledger.sqlite") as ledger:
        for event in (Scored(99, Score(1.0, 1.0), None), Registered("green", True)):
            with ledger.writing() as writing:
                writing.append(event)
    (problem,) = verify_challenge(folder).problems
    assert problem == f"row {ROWS + 1} of the ledger names 99, which no row before it brought in; it was made up"


def test_a_ledger_that_was_tampered_with_takes_nothing_more(folder: Path) -> None:
    tamper(folder, "UPDATE events SET time_given = 1 WHERE number = 2")
    with Ledger(folder / "ledger.sqlite") as ledger, pytest.raises(ChallengeError, match="row 2 of the ledger"):
        record(ledger, "green")
