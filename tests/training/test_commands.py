from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ectype.descriptors import load_model
from ectype.images import ImageItem
from ectype_training.commands import run

Draw = Callable[..., list[ImageItem]]

CONFIG = 'steps = 2\nobjective = "contrast"\nstart = "random"\nsize = 48\ndimension = 16\nbatch = 4\nworkers = 0\n'


@pytest.fixture
def begun(drawn: Draw, tmp_path: Path) -> Path:
    """A folder with drawn pictures, a configuration and a finished run."""
    drawn(30)
    (tmp_path / "config.toml").write_text(CONFIG)
    words = ["train", "--config", tmp_path / "config.toml", "--images", tmp_path / "drawn", "--out", tmp_path / "run"]
    assert run(list(map(str, words))) == 0
    return tmp_path


def test_a_run_is_exported_and_evaluated(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (begun / "card.txt").write_text("made by\na test\n")
    names = ["--run", begun / "run", "--images", begun / "drawn"]
    words = ["export", *names, "--name", "tried", "--version", "7", "--description", begun / "card.txt"]
    assert run(list(map(str, [*words, "--out", begun / "model"]))) == 0
    model = load_model(begun / "model")
    assert (model.card.name, model.card.version, model.card.description) == ("tried", "7", "made by a test")
    assert (model.input_size, model.dimension) == (48, 16)

    words = ["bfloat16", "--model", begun / "model" / "model.onnx", "--images", begun / "drawn", "--out", begun / "fit"]
    assert run(list(map(str, words))) == 0
    fitted = load_model(begun / "fit")
    assert (fitted.card.version, fitted.card.description) == ("7", "made by a test")
    assert fitted.card.sha256 != model.card.sha256

    words = ["evaluate", *names, "--kinds", "unedited", "blur", "--copies", "5", "--out", begun / "kinds.json"]
    assert run(list(map(str, words))) == 0
    rows = json.loads((begun / "kinds.json").read_text())
    assert [row["kind"] for row in rows] == ["unedited", "blur"]
    assert "mean of 2 kinds" in capsys.readouterr().out


def test_the_middle_of_two_models_is_a_model(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (begun / "card.txt").write_text("a test")
    names = [
        "--run",
        begun / "run",
        "--images",
        begun / "drawn",
        "--name",
        "tried",
        "--description",
        begun / "card.txt",
    ]
    for version, more in (("1", []), ("2", ["--whiten", "1"])):
        assert run(list(map(str, ["export", *names, "--version", version, *more, "--out", begun / version]))) == 0
    files = [begun / "1" / "model.onnx", begun / "2" / "model.onnx"]
    images = ["--images", begun / "drawn"]
    words = [*images, "--version", "3", "--description", begun / "card.txt", "--out", begun / "3"]
    assert run(list(map(str, ["average", "--models", *files, *words]))) == 0
    one, two, middle = (load_model(begun / name) for name in "123")
    assert (middle.card.name, middle.card.version, middle.dimension) == ("tried", "3", 16)
    picture = np.random.default_rng(1).integers(0, 256, (48, 48, 3), np.uint8)
    rows = [model.describe([picture])[0] for model in (one, two, middle)]
    assert rows[2] @ rows[0] > rows[1] @ rows[0] and rows[2] @ rows[1] > rows[0] @ rows[1]
    words = ["average", "--models", files[0], begun / "config.toml", *words]
    assert run(list(map(str, words))) == 1
    assert "not a readable ONNX file" in capsys.readouterr().err


def test_a_model_is_narrowed_and_finds_insets(begun: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (begun / "card.txt").write_text("a test")
    images = ["--images", begun / "drawn"]
    words = ["export", "--run", begun / "run", *images, "--name", "tried", "--version", "1"]
    assert run(list(map(str, [*words, "--description", begun / "card.txt", "--out", begun / "1"]))) == 0
    words = ["narrow", "--model", begun / "1" / "model.onnx", *images, "--error", "0.1", "--version", "2"]
    assert run(list(map(str, [*words, "--description", begun / "card.txt", "--out", begun / "2"]))) == 0
    assert (begun / "2" / "model.onnx").stat().st_size < (begun / "1" / "model.onnx").stat().st_size
    words = ["insets", "--model", begun / "2" / "model.onnx", *images, "--samples", "40", "--epochs", "1"]
    assert run(list(map(str, [*words, "--version", "3", "--out", begun / "3"]))) == 0
    card = load_model(begun / "3").card
    assert (card.version, card.insets, card.description) == ("3", True, "a test")
    out = capsys.readouterr().out
    assert "hidden channels: [32, " in out
    assert "epoch 1 of 1: InsetScores(overlap=" in out


def test_kinds_are_left_out_in_turn(drawn: Draw, tmp_path: Path) -> None:
    drawn(12)
    drawn(24, first=100, name="held out")
    (tmp_path / "config.toml").write_text(CONFIG)
    names = ["--config", tmp_path / "config.toml", "--images", tmp_path / "drawn", "--held-out", tmp_path / "held out"]
    words = ["ablate", *names, "--kinds", "blur", "hflip", "--out", tmp_path / "out"]
    assert run(list(map(str, words))) == 0
    rows = json.loads((tmp_path / "out" / "ablation.json").read_text())
    assert [row["left_out"]["kind"] for row in rows] == ["blur", "hflip"]
    assert json.loads((tmp_path / "out" / "blur" / "run.json").read_text())["leave_out"] == ["blur"]
    assert (tmp_path / "out" / "ablation.png").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("train --config {}/absent.toml --images {} --out {}/run", "absent.toml"),
        ("train --config {}/config.toml --images {}/empty --out {}/run", "empty"),
        ("train --config {}/config.toml --images {}/absent --out {}/run", "absent"),
        ("export --run {}/none --images {}/drawn --name a --version 1 --description {}/config.toml --out {}/m", "none"),
        ("bfloat16 --model {}/absent.onnx --images {}/drawn --out {}/m", "absent"),
        ("evaluate --model {}/absent.onnx --images {}/drawn", "absent.onnx"),
        ("evaluate --images {}/drawn --kinds teleport", "teleport"),
        ("evaluate --model a --run b --images {}/drawn", "not both"),
        ("targets --teacher {}/config.toml --size 32 --images {}/drawn --out {}/t.npz", "config.toml"),
        ("targets --teacher {}/config.toml --size 32 --images {}/drawn --out {}/no/t.npz", "folder does not exist"),
    ],
)
def test_bad_input_is_named_and_writes_nothing(
    drawn: Draw, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, says: str
) -> None:
    drawn(30)
    (tmp_path / "empty").mkdir()
    (tmp_path / "config.toml").write_text(CONFIG)
    before = sorted(tmp_path.rglob("*"))
    assert run(words.replace("{}", str(tmp_path)).split()) == 1
    assert says in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before
