from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ectype.challenge.making import FINAL_TEST_SET
from ectype.challenge.manifest import read_manifest
from ectype.cli import main
from ectype.evaluation import read_ground_truth
from making_ground import contents, draw_photographs

COUNTS = ("--references", 6, "--queries", 4, "--training", 2, "--seed", 5, "--jobs", 1)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    def call(*arguments: object) -> tuple[int, str, str]:
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_photographs(tmp_path_factory.mktemp("photographs"), range(14))


def test_a_data_set_is_made_in_two_phases(run, photographs: Path, tmp_path: Path) -> None:
    (tmp_path / "kinds.toml").write_text("crop = 2\nhflip = 1\nrotate = 1\n")
    options = (*COUNTS, "--kinds-file", tmp_path / "kinds.toml", "--hold-back", "rotate", "--phase2-queries", 4)
    code, out, err = run("challenge", "make", tmp_path / "data", photographs, *options, "--json")
    assert code == 0, err
    printed = json.loads(out)
    assert printed["references"] == 6 and printed["skipped"] == [] and printed["left_out"] == []
    assert [(phase["queries"], phase["copies"]) for phase in printed["phases"]] == [(4, 2), (4, 2)]
    assert "rotate" not in printed["phases"][0]["kinds"]
    before = contents(tmp_path / "data")
    assert len(read_ground_truth(tmp_path / "data" / "phase2" / "ground_truth.csv").queries) == 4

    code, out, _ = run("challenge", "make", tmp_path / "data", photographs, *options)
    assert code == 0
    assert "queries of phase 2  4, 2 copies" in out and "crop" in out
    assert contents(tmp_path / "data") == before


def test_the_report_tells_of_attacks_left_out_and_photographs_skipped(run, photographs: Path, tmp_path: Path) -> None:
    for number in range(40):
        (tmp_path / f"broken{number}.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    code, out, _ = run("challenge", "make", tmp_path / "data", photographs, tmp_path, *COUNTS)
    assert code == 1
    assert "adversarial_attack: its share went to the other kinds (see --adversarial)" in out
    assert "images were skipped" in out


def test_the_adversarial_attack_is_plugged_in_when_asked_for(
    run, photographs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(name="torch")

    monkeypatch.setattr("ectype.challenge.making.attack.import_module", absent)
    code, _, err = run("challenge", "make", tmp_path / "data", photographs, *COUNTS, "--adversarial")
    assert code == 3
    assert "the package torch: pip install 'ectype[training]'" in err
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (("--references", 60), 3, "are too few: 64 are needed, 60 for references"),
        (("--hold-back", "crop"), 2, "phase 2, but it has no queries"),
        (("--hold-back", "swirl", "--phase2-queries", 2), 2, "swirl can't be held back: it is not among the kinds"),
        (("--copies", 2), 2, "2.0 is not in the range 0<=x<=1"),
        (("--kinds-file", "absent.toml"), 2, "does not exist"),
    ],
)
def test_wrong_usage(run, photographs: Path, tmp_path: Path, more: tuple[object, ...], code: int, message: str) -> None:
    found, out, err = run("challenge", "make", tmp_path / "data", photographs, *COUNTS, *more)
    assert (found, out) == (code, "")
    assert message in err
    assert not (tmp_path / "data").exists()


def test_manifests_are_written_for_data_sets_that_are_there(run, photographs: Path, tmp_path: Path) -> None:
    options = (*COUNTS, "--phase2-queries", 4)
    assert run("challenge", "make", tmp_path / "data", photographs, *options, "--json")[0] == 0
    for phase, name in ((1, "manifest.csv"), (2, "manifest-phase2.csv")):
        path = tmp_path / "data" / name
        expected = path.read_bytes()
        path.unlink()
        code, out, _ = run("challenge", "manifest", tmp_path / "data", "--phase", phase, "--json")
        assert code == 0
        assert json.loads(out)["manifest"] == str(path)
        assert path.read_bytes() == expected
    code, out, _ = run("challenge", "manifest", tmp_path / "data")
    assert code == 0 and "references  6" in out
    assert len(read_manifest(tmp_path / "data" / "manifest.csv").entries) == 12
    code, _, err = run("challenge", "manifest", photographs)
    assert code == 3 and "no reference images of phase 1" in err


def test_the_default_kinds_stand_in_the_report(run, photographs: Path, tmp_path: Path) -> None:
    code, out, _ = run("challenge", "make", tmp_path / "data", photographs, *COUNTS, "--json")
    assert code == 0
    assert {*json.loads(out)["phases"][0]["kinds"]} <= {*FINAL_TEST_SET}
