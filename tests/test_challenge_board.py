"""The boards: pure functions of the ledger, and the files they are exported to."""

from __future__ import annotations

import csv
import json
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from challenge_ground import DAY, HOUR, OVER, PHASE1, PHASE2, SETTINGS, START
from ectype.challenge.boards.files import board_to_dict, write_board_csv, write_board_json
from ectype.challenge.boards.leaderboard import BoardRow, Leaderboard, final_board, leaderboard, public_board
from ectype.challenge.boards.page import write_board_page
from ectype.challenge.hosting.events import Accepted, Disqualified, Entry, Event, Refused, Registered, Score, Scored
from ectype.challenge.hosting.settings import Settings, SettingsFile
from ectype.challenge.hosting.standing import Standing, standing_of
from ectype.errors import ChallengeError

TEAMS = ("red", "blue", "green", "grey")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("settings")
    (folder / "challenge.toml").write_text(SETTINGS)
    return SettingsFile(folder).settings()


class Story:
    """Events one after the other, each at its time."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    def add(self, event: Event, time: datetime = START) -> int:
        self.entries.append(Entry(len(self.entries) + 1, time, False, event))
        return len(self.entries)

    def submit(
        self, team: str, score: float | None, time: datetime = PHASE1, phase: int = 1, track: str = "matching"
    ) -> int:
        number = self.add(Accepted(team, track, phase, f"{len(self.entries):064}", None), time)
        if score is not None:
            hidden = Score(score / 2, None) if phase == 1 else None
            self.add(Scored(number, Score(score, None if score < 0.3 else score / 3), hidden), time)
        return number

    @property
    def standing(self) -> Standing:
        return standing_of(self.entries)


def story(*, eligible: tuple[str, ...] = TEAMS) -> Story:
    made = Story()
    for team in TEAMS:
        made.add(Registered(team, team in eligible))
    return made


def places(rows: tuple[BoardRow, ...]) -> list[tuple[int, str, float]]:
    return [(row.place, row.team, row.score.micro_average_precision) for row in rows]


def test_a_teams_best_submission_counts_in_each_track_of_its_own() -> None:
    told = story()
    for team, score in (("red", 0.5), ("blue", 0.7), ("red", 0.8), ("red", 0.6)):
        told.submit(team, score)
    told.submit("green", 0.9, track="descriptor")
    told.submit("grey", 0.9, PHASE2, phase=2)
    board = public_board(told.standing, "matching")
    assert places(board.rows) == [(1, "red", 0.8), (2, "blue", 0.7)]
    assert [row.submissions for row in board.rows] == [3, 1]
    assert places(public_board(told.standing, "descriptor").rows) == [(1, "green", 0.9)]
    assert places(final_board(told.standing, "matching", 2).rows) == [(1, "grey", 0.9)]
    assert final_board(told.standing, "descriptor", 2).rows == ()


def test_of_equal_scores_the_earlier_comes_first() -> None:
    told = story()
    told.submit("red", 0.5, PHASE1)
    told.submit("blue", 0.8, PHASE1 + HOUR)
    told.submit("red", 0.8, PHASE1 + 2 * HOUR)
    board = public_board(told.standing, "matching")
    assert places(board.rows) == [(1, "blue", 0.8), (2, "red", 0.8)]
    assert [row.time for row in board.rows] == [PHASE1 + HOUR, PHASE1 + 2 * HOUR]


def test_prizes_skip_teams_that_are_not_eligible() -> None:
    told = story(eligible=("blue", "green", "grey"))
    for team, score in (("red", 0.9), ("blue", 0.8), ("green", 0.7), ("grey", 0.6)):
        told.submit(team, score, PHASE2, phase=2)
    rows = final_board(told.standing, "matching", 2).rows
    assert [(row.team, row.place, row.prize) for row in rows] == [
        ("red", 1, None),
        ("blue", 2, 1),
        ("green", 3, 2),
        ("grey", 4, None),
    ]


def test_what_is_disqualified_or_not_scored_has_no_place() -> None:
    told = story()
    best = told.submit("red", 0.9)
    told.submit("red", 0.4)
    told.submit("blue", 0.8)
    told.submit("green", None)
    told.add(Refused("grey", "limit", "too many", "0" * 64))
    told.add(Disqualified("red", best, "copied"))
    told.add(Disqualified("blue", None, "two accounts"))
    assert places(public_board(told.standing, "matching").rows) == [(1, "red", 0.4)]


def test_the_final_board_is_kept_until_phase_2_is_over(settings: Settings) -> None:
    told = story()
    told.submit("red", 0.5)
    told.submit("blue", 0.6, PHASE2, phase=2)
    unscored = told.submit("green", None, PHASE2, phase=2)
    told.add(Disqualified("grey", None, "two accounts"), PHASE2)
    for now in (START, PHASE2, OVER - HOUR):
        with pytest.raises(ChallengeError, match="kept until it is over, at 2021-10-28T00:00:00Z"):
            leaderboard(settings, told.standing, now, 2)
        found = leaderboard(settings, told.standing, now)
        assert found.phase == 1 and found.boards[0].rows[0].hidden is None
    found = leaderboard(settings, told.standing, OVER)
    assert found.phase == 2 and found.boards[0].rows[0].team == "blue"
    assert found.unscored == (unscored,) and found.disqualified == ("team 'grey': two accounts",)
    assert leaderboard(settings, told.standing, OVER, 1).boards[0].rows[0].hidden == Score(0.25, None)


# Properties

lists = st.lists(st.tuples(st.sampled_from(TEAMS), st.sampled_from([0.25, 0.5, 0.75]), st.integers(0, 3)), max_size=10)


def story_of(submissions: list[tuple[str, float, int]], teams: tuple[str, ...] = TEAMS) -> Story:
    """Submissions of phase 2, at the hours given, which may be equal."""
    made = Story()
    for team in teams:
        made.add(Registered(team, team != "grey"))
    for team, score, hour in submissions:
        made.submit(team, score, PHASE2 + hour * HOUR, phase=2)
    return made


def ranking(standing: Standing) -> list[tuple[object, ...]]:
    rows = final_board(standing, "matching", 2).rows
    return [(row.place, row.prize, row.team, row.score, row.time, row.submissions) for row in rows]


@given(submissions=lists, teams=st.permutations(TEAMS), data=st.data())
def test_the_board_does_not_depend_on_the_order_of_other_teams_events(submissions, teams, data) -> None:
    shuffled = data.draw(st.permutations(submissions))
    assert ranking(story_of(submissions).standing) == ranking(story_of(shuffled, tuple(teams)).standing)


@given(submissions=lists, gone=st.sampled_from(TEAMS))
def test_a_team_that_goes_only_closes_its_gap(submissions, gone) -> None:
    def others(standing: Standing) -> list[tuple[object, ...]]:
        return [(row[2], *row[3:]) for row in ranking(standing) if row[2] != gone]

    without = story_of([one for one in submissions if one[0] != gone]).standing
    assert others(story_of(submissions).standing) == others(without)
    assert [row[0] for row in ranking(without)] == list(range(1, len(ranking(without)) + 1))
    disqualified = story_of(submissions)
    disqualified.add(Disqualified(gone, None, "a reason"), OVER)
    assert ranking(disqualified.standing) == ranking(without)


@given(submissions=lists)
def test_prizes_go_to_the_first_eligible_teams_and_no_others(submissions) -> None:
    rows = final_board(story_of(submissions).standing, "matching", 2).rows
    eligible = [row for row in rows if row.eligible]
    assert [row.prize for row in eligible] == [1, 2, None, None][: len(eligible)]
    assert all(row.prize is None for row in rows if not row.eligible)
    averages = [row.score.micro_average_precision for row in rows]
    assert averages == sorted(averages, reverse=True)


# Files


@pytest.fixture
def found(settings: Settings) -> Leaderboard:
    told = story(eligible=("red", "blue", "green"))
    for team, score in (("grey", 0.91), ("red", 0.9), ("blue", 0.5), ("green", 0.1)):
        told.submit(team, score, PHASE2 + HOUR, phase=2)
    told.add(Registered("<b>$x^$ & a very long name of a team</b>", True), PHASE2)
    told.submit("<b>$x^$ & a very long name of a team</b>", 0.45, PHASE2 + DAY, phase=2)
    told.submit("red", None, PHASE2 + DAY, phase=2)
    told.add(Disqualified("blue", None, "looked at <other> queries"), OVER)
    return leaderboard(settings, told.standing, OVER)


def test_csv(found: Leaderboard, tmp_path: Path) -> None:
    write_board_csv(tmp_path / "board.csv", found)
    with open(tmp_path / "board.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["track"], row["place"], row["prize"], row["team"]) for row in rows][:2] == [
        ("matching", "1", "", "grey"),
        ("matching", "2", "1", "red"),
    ]
    assert float(rows[1]["micro_average_precision"]) == 0.9 and rows[3]["recall_at_p90"] == ""
    assert rows[0]["time"] == "2021-10-26T01:00:00Z"


def test_json(found: Leaderboard, tmp_path: Path) -> None:
    write_board_json(tmp_path / "board.json", found)
    content = json.loads((tmp_path / "board.json").read_text())
    assert content == json.loads(json.dumps(board_to_dict(found)))
    assert content["tracks"]["matching"][0] == {
        "place": 1,
        "prize": None,
        "team": "grey",
        "eligible": False,
        "micro_average_precision": 0.91,
        "recall_at_p90": 0.91 / 3,
        "hidden_micro_average_precision": None,
        "submission": 5,
        "time": "2021-10-26T01:00:00Z",
        "submissions": 1,
    }
    assert content["tracks"]["descriptor"] == [] and content["disqualified"] == [
        "team 'blue': looked at <other> queries"
    ]


def test_the_page_shows_places_prizes_and_pictures_and_takes_no_name_for_markup(
    found: Leaderboard, tmp_path: Path
) -> None:
    write_board_page(tmp_path / "board.html", found)
    page = (tmp_path / "board.html").read_text()
    assert page.count('<span class="badge">') == 2 and "prize 1" in page
    assert "&lt;b&gt;$x^$ &amp; a very long name" in page and "<b>$x^$" not in page
    assert "looked at &lt;other&gt; queries" in page
    assert "Not scored yet: submission 16." in page and "No team has a place yet." in page
    assert page.count("<svg") == 1 and page.count("<rect") == 4 and page.count("<circle") == 3
    assert "http" not in page and "src=" not in page  # nothing is fetched
    assert "rehearsal" not in page


def test_a_page_without_anything_on_it(settings: Settings, tmp_path: Path) -> None:
    write_board_page(tmp_path / "board.html", leaderboard(settings, story().standing, START))
    page = (tmp_path / "board.html").read_text()
    assert page.count("No team has a place yet.") == 2 and "<svg" not in page
