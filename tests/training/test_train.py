from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ectype.errors import InvalidDataError, ModelError, UsageError
from ectype.images import ImageItem
from ectype.transformations import KINDS
from ectype_training import train as training
from ectype_training.config import Config
from ectype_training.kinds import measure_kinds
from ectype_training.run import load_checkpoint
from ectype_training.student import Student, StudentModel, load_student
from ectype_training.train import train

Draw = Callable[..., list[ImageItem]]

PRACTISED = ("crop", "hflip", "rotate", "hue", "invert", "grayscale")


def test_training_on_drawn_pictures_raises_retrieval_of_unseen_ones(drawn: Draw, tmp_path: Path) -> None:
    config = Config(
        steps=150,
        objective="contrast",
        size=64,
        dimension=32,
        batch=16,
        rate=5e-4,
        warm_up=10,
        temperature=0.1,
        koleo_weight=0.1,
        most_edits=2,
        leave_out=tuple(name for name in KINDS if name not in PRACTISED),
    )
    items, held_out = drawn(100), drawn(90, first=1000, name="held out")
    chance = 1 / 60

    def found(student: Student) -> float:
        results = measure_kinds(StudentModel(student, config.size), held_out, PRACTISED, copies=30)
        return float(np.mean([row.recall_at_rank1 for row in results]))

    torch.manual_seed(config.seed)
    before = found(training.begin(config, items))
    after = found(train(config, items, None, tmp_path / "run"))
    assert after > 20 * chance
    assert after > before + 0.05, (before, after)
    assert len((tmp_path / "run" / "log.csv").read_text().splitlines()) == 4


def test_distillation_approaches_the_teacher(drawn: Draw, targets: Callable[..., Path], tmp_path: Path) -> None:
    items = drawn(8)
    config = Config(
        steps=100, start="random", size=64, dimension=4, batch=8, warm_up=10, temperature=1.0, workers=0, unedited=1.0
    )
    train(config, items, targets(items), tmp_path / "run")
    first, last = (tmp_path / "run" / "log.csv").read_text().splitlines()[1:3]
    assert float(last.split(",")[-1]) < 0.7 * float(first.split(",")[-1])


class KilledError(Exception):
    pass


def test_a_killed_run_goes_on_at_the_step_where_it_was(
    drawn: Draw, short: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = drawn(8)
    config = replace(short, steps=4)
    whole = train(config, items, None, tmp_path / "whole")
    monkeypatch.setattr(training, "SAVE_SECONDS", -1)
    update = training._Training.update

    def killed_in_the_third(self: training._Training, *arguments: object) -> tuple[float, float]:
        if self.step == 2:
            raise KilledError
        return update(self, *arguments)

    monkeypatch.setattr(training._Training, "update", killed_in_the_third)
    with pytest.raises(KilledError):
        train(config, items, None, tmp_path / "run")
    assert load_checkpoint(tmp_path / "run")["step"] == 2
    monkeypatch.setattr(training._Training, "update", update)
    resumed = train(config, items, None, tmp_path / "run")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, msg=name)


def test_a_finished_run_is_left_as_it_is(drawn: Draw, short: Config, tmp_path: Path) -> None:
    items = drawn(4)
    first = train(short, items, None, tmp_path / "run")
    before = (tmp_path / "run" / "checkpoint.pt").read_bytes()
    again = train(short, items, None, tmp_path / "run")
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == before
    torch.testing.assert_close(again.project.weight, first.project.weight)
    loaded, config = load_student(tmp_path / "run")
    assert config == short
    torch.testing.assert_close(loaded.project.weight, first.project.weight)


def test_a_run_of_another_configuration_is_refused_and_kept(drawn: Draw, short: Config, tmp_path: Path) -> None:
    items = drawn(4)
    train(short, items, None, tmp_path / "run")
    before = {path: path.read_bytes() for path in (tmp_path / "run").iterdir()}
    with pytest.raises(UsageError, match=r"rate was 0\.001, now 0\.5"):
        train(replace(short, rate=0.5), items, None, tmp_path / "run")
    with pytest.raises(UsageError, match="photographs was 4, now 5"):
        train(short, drawn(5), None, tmp_path / "run")
    assert {path: path.read_bytes() for path in (tmp_path / "run").iterdir()} == before


def test_a_folder_of_other_files_is_refused(drawn: Draw, short: Config, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "letter.txt").write_text("mine")
    with pytest.raises(UsageError, match="choose an empty folder"):
        train(short, drawn(4), None, tmp_path / "run")
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["letter.txt"]


def test_a_damaged_checkpoint_is_named(drawn: Draw, short: Config, tmp_path: Path) -> None:
    items = drawn(4)
    train(short, items, None, tmp_path / "run")
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"half a file")
    with pytest.raises(InvalidDataError, match=r"checkpoint\.pt: not a readable checkpoint"):
        train(short, items, None, tmp_path / "run")


def test_targets_and_objective_must_fit(
    drawn: Draw, short: Config, targets: Callable[..., Path], tmp_path: Path
) -> None:
    items = drawn(4)
    with pytest.raises(UsageError, match="targets"):
        train(short, items, targets(items), tmp_path / "run")
    with pytest.raises(UsageError, match="targets"):
        train(replace(short, objective="distillation"), items, None, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_start_that_is_no_model_is_named(drawn: Draw, short: Config, tmp_path: Path) -> None:
    other = tmp_path / "start.onnx"
    with pytest.raises(InvalidDataError, match=r"start\.onnx"):
        train(replace(short, start=str(other)), drawn(4), None, tmp_path / "run")
    other.write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"start\.onnx"):
        train(replace(short, start=str(other)), drawn(4), None, tmp_path / "other run")
