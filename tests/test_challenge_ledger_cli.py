"""The host's commands, from `create` to `verify`, with a clock that is given."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from challenge_ground import DEADLINE, FREEZING, HOUR, OVER, PHASE1, PHASE2, SETTINGS, START, write_data, write_matching
from ectype.challenge.hosting.ledger import Ledger
from ectype.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs ``ectype challenge …`` in this process: exit code, standard output, standard error."""

    def call(*arguments: object, now: datetime | None = None) -> tuple[int, str, str]:
        given = () if now is None else ("--now", now.isoformat())
        code = main(["challenge", *(str(argument) for argument in arguments), *given])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture
def as_json(run: Run) -> Callable[..., Any]:
    """The same with --json: the value, of a command that succeeds."""

    def call(*arguments: object, now: datetime | None = None) -> Any:
        code, out, err = run(*arguments, "--json", now=now)
        assert (code, err) == (0, "")
        return json.loads(out)

    return call


@pytest.fixture
def entry(tmp_path: Path) -> list[object]:
    """The options that name an entry's parts."""
    (tmp_path / "code").mkdir()
    for name in ("code/match.py", "weights.onnx", "uv.lock"):
        (tmp_path / name).write_text(name)
    parts = {"--code": "code", "--weights": "weights.onnx", "--environment": "uv.lock"}
    return [word for option, name in parts.items() for word in (option, tmp_path / name)]


@pytest.fixture
def challenge(tmp_path: Path, run: Run) -> Path:
    """An open challenge with two teams."""
    folder = tmp_path / "challenge"
    write_data(folder / "data")
    assert run("create", folder, "--name", "Small challenge", now=START - HOUR)[0] == 0
    (folder / "challenge.toml").write_text(SETTINGS)
    assert run("open", folder, now=START)[0] == 0
    assert run("register", folder, "red", now=START)[1] == "team red is registered\n"
    assert "without prizes" in run("register", folder, "blue", "--not-eligible", now=START)[1]
    return folder


def test_a_new_challenge_says_what_to_do_next(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    code, out, _ = run("create", folder)
    assert code == 0 and f"ectype challenge open {folder}" in out
    text = (folder / "challenge.toml").read_text()
    assert 'name = "new"' in text and 'manifest = "data/manifest.csv"' in text
    code, _, err = run("open", folder)
    assert code == 3 and "4 problems" in err and "data/phase2/ground_truth.csv: there is no such file" in err
    assert run("create", folder)[0] == 3
    for command in ("status", "leaderboard", "verify"):
        code, _, err = run(command, folder)
        assert code == 3 and f"ectype challenge open {folder}" in err


def test_a_challenge_from_its_opening_to_its_prizes(
    run: Run, as_json: Callable[..., Any], challenge: Path, entry: list[object], tmp_path: Path
) -> None:
    file = write_matching(tmp_path / "s.csv", right=5)
    code, out, _ = run("submit", challenge, file, "--team", "red", now=PHASE1)
    assert code == 0 and re.search(r"micro-average precision +0\.\d{4} on the public labels", out)
    assert re.search(r"left +5, 1 of them today", out)
    found = as_json("submit", challenge, write_matching(file), "--team", "blue", now=PHASE1)
    assert found["score"]["micro_average_precision"] == 1.0 and found["left"] == {"in_all": 5, "today": 1}

    status = as_json("status", challenge, now=FREEZING)
    assert (status["stage"], status["next"], status["next_at"]) == ("freezing", "frozen", "2021-06-14T00:00:00Z")
    assert status["teams"][0]["left"]["matching"] == {"in_all": 3, "today": None}
    out = run("status", challenge, now=PHASE1 + HOUR)[1]
    assert "5, 1 today" in out and "not eligible for prizes" in out and "phase 1" in out

    freeze = tmp_path / "freeze.json"
    code, out, _ = run("freeze", "--team", "red", *entry, "-o", freeze)
    assert code == 0 and "hand it to the host before the deadline" in out
    red = as_json("freeze", "--record", freeze, "--challenge", challenge, now=FREEZING)
    blue = as_json("freeze", "--team", "blue", *entry, "--challenge", challenge, now=FREEZING)
    assert red["recorded"] and red["freeze"] != blue["freeze"]
    code, _, err = run("freeze", "--record", freeze, "--challenge", challenge, now=DEADLINE)
    assert code == 3 and "late-freeze" in err

    for team, right, digest in (("red", 6, red["freeze"]), ("blue", 9, blue["freeze"])):
        write_matching(file, phase=2, right=right)
        code, out, _ = run("submit", challenge, file, "--team", team, "--freeze", digest, now=PHASE2)
        assert code == 0 and "kept until phase 2 is over" in out
    code, _, err = run("submit", challenge, write_matching(file, 2, seed=5), "--team", "red", now=PHASE2)
    assert code == 3 and "add --freeze DIGEST" in err
    code, _, err = run("leaderboard", challenge, "--phase", 2, now=PHASE2)
    assert code == 3 and "kept until it is over" in err
    assert "public labels of phase 1" in run("leaderboard", challenge, now=PHASE2)[1]

    rows = as_json("leaderboard", challenge, now=OVER)["tracks"]["matching"]
    assert [(row["team"], row["place"], row["prize"]) for row in rows] == [("blue", 1, None), ("red", 2, 1)]
    out = run("leaderboard", challenge, now=OVER)[1]
    assert "final" in out and "not eligible" in out and "a rehearsal" in out
    assert as_json("leaderboard", challenge, "--phase", 1, now=OVER)["phase"] == 1
    files = [tmp_path / f"board{suffix}" for suffix in (".csv", ".json", ".html")]
    outputs = [word for path in files for word in ("-o", path)]
    assert as_json("export", challenge, *outputs, now=OVER) == {"phase": 2, "files": [str(path) for path in files]}
    assert all(path.stat().st_size for path in files)
    assert "board.csv" in run("export", challenge, "-o", files[0], now=OVER)[1]

    code, out, _ = run("disqualify", challenge, "blue", "--reason", "looked at other queries", now=OVER)
    assert code == 0 and out == "team blue is disqualified: looked at other queries\n"
    rows = as_json("leaderboard", challenge, now=OVER)
    assert [row["team"] for row in rows["tracks"]["matching"]] == ["red"]
    assert rows["disqualified"] == ["team 'blue': looked at other queries"]
    number = rows["tracks"]["matching"][0]["submission"]
    as_json("disqualify", challenge, "red", "--submission", number, "--reason", "x", now=OVER)
    out = run("leaderboard", challenge, now=OVER)[1]
    assert f"disqualified: submission {number} of team 'red': x" in out
    assert "disqualified: looked at other queries" in run("status", challenge, now=OVER)[1]


def test_what_was_recorded_is_verified(run: Run, as_json: Callable[..., Any], challenge: Path, tmp_path: Path) -> None:
    found = as_json("verify", challenge)
    assert found["ok"] and found["events"] == 3 and found["given_times"] == 3
    head = found["head"]
    run("submit", challenge, write_matching(tmp_path / "s.csv"), "--team", "red", now=PHASE1)
    assert "as it was recorded" in run("verify", challenge, "--head", head)[1]
    (kept,) = (challenge / "submissions").iterdir()
    kept.write_text("changed")
    code, out, _ = run("verify", challenge, "--head", "0" * 64)
    assert code == 3 and "CHANGED" in out and "the published head" in out and "has other content" in out
    code, out, _ = run("verify", challenge, "--json")
    assert code == 3 and not json.loads(out)["ok"]


def test_an_entry_is_checked_against_its_freeze(
    run: Run, as_json: Callable[..., Any], entry: list[object], tmp_path: Path
) -> None:
    freeze = tmp_path / "freeze.json"
    run("freeze", "--team", "red", *entry, "-o", freeze)
    assert as_json("freeze", "--check", freeze, *entry) == {"unchanged": True, "changes": []}
    assert "the entry is the one of" in run("freeze", "--check", freeze, *entry)[1]
    (tmp_path / "weights.onnx").write_text("trained again")
    assert run("freeze", "--check", freeze, *entry)[:2] == (3, "weights: weights.onnx has other content\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("freeze", "-o", "freeze.json"), "name the team with --team"),
        (("freeze", "--team", "red", "-o", "freeze.json"), "name the parts of the entry"),
        (("freeze", "--check", __file__), "name the parts of the entry"),
        (("export", "folder", "-o", "board.pdf"), "boards are written as .csv, .json, .html"),
        (("status", "folder", "--now", "yesterday"), "is no time with its time zone"),
        (("status", "folder", "--now", "2021-06-01"), "is no time with its time zone"),
        (("disqualify", "folder", "red"), "Missing option '--reason'"),
    ],
)
def test_wrong_usage(run: Run, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    code, _, err = run(*arguments)
    assert code == 2 and message in err


def test_a_freeze_goes_somewhere(run: Run, entry: list[object], tmp_path: Path) -> None:
    code, _, err = run("freeze", "--team", "red", *entry)
    assert code == 2 and "say where the freeze goes" in err
    code, _, err = run("freeze", "--team", "red", *entry, "-o", tmp_path / "none" / "freeze.json")
    assert code == 3 and "its folder does not exist" in err


def test_a_time_that_is_given_is_recorded_as_given_and_then_the_clock_may_not_go_back(
    run: Run, challenge: Path, tmp_path: Path
) -> None:
    with Ledger(challenge / "ledger.sqlite") as ledger:
        assert all(entry.time_given for entry in ledger.entries())
    code, _, err = run("register", challenge, "green", now=START - HOUR)
    assert code == 3 and "set the clock right" in err
    assert run("register", challenge, "green")[0] == 0  # by the clock of this machine
    with Ledger(challenge / "ledger.sqlite") as ledger:
        assert not ledger.entries()[-1].time_given
