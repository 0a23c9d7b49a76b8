"""A whole challenge by its commands: two tracks, three teams, two phases, a cheat that is caught, prizes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ectype.cli import main
from ectype.descriptors import load_model
from ectype.transformations.materials import drawn_picture
from entries.making import ISOLATED, make_entry

BEFORE, PHASE1, FREEZING, PHASE2, LATE = (
    f"2030-{day}T12:00:00Z" for day in ("01-01", "02-01", "06-02", "07-01", "07-04")
)
SETTINGS = """\
name = "Small challenge"
prizes = 3
[phase1]
opens = 2030-01-15T00:00:00Z
closes = 2030-06-01T00:00:00Z
manifest = "../data/manifest.csv"
ground_truth = "../data/ground_truth.csv"
submissions = 20
salt = "of a test"
[freeze]
deadline = 2030-06-15T00:00:00Z
[phase2]
opens = 2030-07-01T00:00:00Z
manifest = "../data/manifest-phase2.csv"
ground_truth = "../data/phase2/ground_truth.csv"
"""
TEAMS = {"model": "bundled_model", "hash": "average_hash", "cheat": "other_queries"}
EASY = "overlay_text = 2\nencoding_quality = 2\nbrightness = 1\nblur = 1\nhflip = 1\n"

Call = Callable[..., Any]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Call:
    """Runs a command of `ectype challenge`; gives its JSON, or, where another exit code is expected, what it said."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object, expected: int = 0) -> Any:
        capsys.readouterr()
        code = main(["challenge", *map(str, arguments), "--json"])
        said = capsys.readouterr()
        assert code == expected, said.err or said.out
        return json.loads(said.out) if said.out else said.err

    return run


@pytest.mark.skipif(not ISOLATED, reason="this machine lets no entry have namespaces of its own")
def test_a_whole_challenge(call: Call, tmp_path: Path) -> None:
    make_data(call, tmp_path)
    entries = {team: make_entry(tmp_path, name).folder for team, name in TEAMS.items()}
    commitment = call("commit", "data/phase2/ground_truth.csv", "truth.salt")["commitment"]
    call("seal", "data", "sealed", "opening.key", "--manifest", "manifest-phase2.csv", "--commitment", commitment)
    call("publish", "data", "place/phase1", "--role", "reference", "--role", "query")
    announced = call("publish", "sealed", "place/phase2")["sha256"]

    host("challenge")
    call("open", "challenge", "--now", BEFORE)
    for team in TEAMS:
        call("register", "challenge", team, "--now", BEFORE)

    call("fetch", "place/phase1", "team")
    call("fetch", "place/phase2", "team-sealed", "--expect", announced)
    phase1(call, entries)
    digests = freeze(call, entries)

    call("unseal", "team-sealed", "opening.key", "team")
    phase2(call, entries, digests)
    audit(call, entries)
    call("reveal", "place/phase2", "data/phase2/ground_truth.csv", "truth.salt")
    rank(call)


def make_data(call: Call, folder: Path) -> None:
    """300 drawn photographs, of which two phases are made; one kind of edit is kept for the second."""
    import cv2

    (folder / "photographs").mkdir()
    for number in range(300):
        cv2.imwrite(str(folder / "photographs" / f"{number:03}.png"), drawn_picture(number, (128, 96)))
    (folder / "kinds.toml").write_text(EASY)
    sizes = {"references": 200, "training": 20, "queries": 40, "phase2-queries": 30, "seed": 1, "jobs": 1}
    options = [text for name, value in sizes.items() for text in (f"--{name}", value)]
    made = call("make", "data", "photographs", *options, "--kinds-file", "kinds.toml", "--hold-back", "hflip")
    assert [phase["copies"] for phase in made["phases"]] == [20, 15]
    assert "hflip" not in (folder / "data" / "recipes.jsonl").read_text()
    assert "hflip" in (folder / "data" / "phase2" / "recipes.jsonl").read_text()


def host(name: str) -> None:
    folder = Path(name)
    folder.mkdir()
    (folder / "challenge.toml").write_text(SETTINGS)


def phase1(call: Call, entries: dict[str, Path]) -> None:
    for team, entry in entries.items():
        call("run", entry, "--queries", "team/queries", "--references", "team/references", "-o", f"{team}.csv")
        valid = call("validate", f"{team}.csv", "--manifest", "team/manifest.csv")
        assert valid["track"] == "matching"
        receipt = call("submit", "challenge", f"{team}.csv", "--team", team, "--now", PHASE1)
        assert 0 < receipt["score"]["micro_average_precision"] <= 1
    assert main(["collection", "create", "bank"]) == main(["collection", "add", "bank", "team/references"]) == 0
    call("describe", "bank", "team/queries", "-o", "phase1.h5")
    call("submit", "challenge", "phase1.h5", "--team", "model", "--now", PHASE1)
    public = call("leaderboard", "challenge", "--now", PHASE1)
    assert {track: len(rows) for track, rows in public["tracks"].items()} == {"matching": 3, "descriptor": 1}


def freeze(call: Call, entries: dict[str, Path]) -> dict[str, str]:
    Path("environment.txt").write_text("ectype\n")
    load_model().save(Path())  # as model.onnx
    digests = {}
    for team, entry in entries.items():
        parts = ["--code", entry, "--environment", "environment.txt"]
        if team == "model":
            parts += ["--weights", "model.onnx", "--descriptors", "phase1.h5"]
        frozen = call("freeze", "--team", team, *parts, "-o", f"{team}.json")
        call("freeze", "--record", f"{team}.json", "--challenge", "challenge", "--now", FREEZING)
        digests[team] = frozen["freeze"]
    return digests


def phase2(call: Call, entries: dict[str, Path], digests: dict[str, str]) -> None:
    def submit(team: str, path: str, now: str = PHASE2, expected: int = 0) -> Any:
        arguments = ("submit", "challenge", path, "--team", team, "--freeze", digests[team], "--now", now)
        return call(*arguments, expected=expected)

    for team, entry in entries.items():
        frozen = ["--freeze", f"{team}.json", "--environment", "environment.txt"]
        frozen += ["--weights", "model.onnx"] if team == "model" else []
        sides = ["--queries", "team/phase2/queries", "--references", "team/references"]
        call("run", entry, *sides, *frozen, "-o", f"{team}-2.csv")
        assert submit(team, f"{team}-2.csv")["score"] is None, "kept until the phase is over"
    call("describe", "bank", "team/phase2/queries", "-o", "phase2.h5")
    submit("model", "phase2.h5")
    call("example", "team/manifest-phase2.csv", "--track", "descriptor", "-o", "other.h5")
    assert "reference" in submit("model", "other.h5", expected=3), "vectors that are not the frozen ones"
    for seed in (1, 2, 3):
        call("example", "team/manifest-phase2.csv", "--seed", seed, "-o", f"random-{seed}.csv")
        said = submit("hash", f"random-{seed}.csv", expected=3 if seed == 3 else 0)
    assert "all of its 3 submissions" in said
    assert "phase 2 closed" in submit("cheat", "random-3.csv", LATE, expected=3)
    (entries["hash"] / "average_hash.py").write_text("changed after the freeze")
    refused = call(
        *("run", entries["hash"], "--queries", "team/phase2/queries", "--references", "team/references"),
        *("--freeze", "hash.json", "--environment", "environment.txt", "-o", "changed.csv"),
        expected=3,
    )
    assert "average_hash.py" in refused
    shutil.copy(Path(__file__).parent / "entries" / "average_hash.py", entries["hash"])


def audit(call: Call, entries: dict[str, Path]) -> None:
    sides = ["--queries", "team/phase2/queries", "--references", "team/references"]
    few = ["--subsets", 1, "--singles", 1, "--chunks", 2]
    for team in ("model", "hash"):
        call("audit", entries[team], *sides, *few, "--submission", f"{team}-2.csv")
    breach = call("audit", entries["cheat"], *sides, *few, "-o", "breach.html", expected=3)
    reason = next(finding["sentence"] for result in breach["results"] for finding in result["findings"])
    call("disqualify", "challenge", "cheat", "--reason", reason, "--now", LATE)


def rank(call: Call) -> None:
    final = call("leaderboard", "challenge", "--now", LATE)["tracks"]
    assert [(row["team"], row["prize"]) for row in final["matching"]] == [("model", 1), ("hash", 2)]
    assert [row["team"] for row in final["descriptor"]] == ["model"]
    for suffix in ("csv", "json", "html"):
        call("export", "challenge", "-o", f"board.{suffix}", "--now", LATE)
        assert Path(f"board.{suffix}").stat().st_size
    call("verify", "challenge")
