from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from ectype.descriptors import load_model
from ectype.errors import InvalidDataError, ModelError, UsageError
from ectype.images import ImageItem
from ectype.transformations import KINDS
from ectype.transformations.materials import drawn_picture
from ectype_training import train as training
from ectype_training.background import Background, add_background
from ectype_training.config import Config
from ectype_training.dataset import Batch
from ectype_training.kinds import measure_kinds
from ectype_training.run import load_checkpoint
from ectype_training.student import Student, StudentModel, load_student
from ectype_training.targets import read_targets
from ectype_training.train import train

Draw = Callable[..., list[ImageItem]]

PRACTISED = ("crop", "hflip", "rotate", "hue", "invert", "grayscale")


def test_training_on_drawn_pictures_raises_retrieval_of_unseen_ones(drawn: Draw, tmp_path: Path) -> None:
    config = Config(
        steps=150,
        objective="contrast",
        size=64,
        dimension=32,
        batch=24,
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


@pytest.mark.parametrize(("native", "told"), [(False, True), (True, False)])
def test_a_run_says_where_bfloat16_may_be_slow(
    native: bool,
    told: bool,
    drawn: Draw,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(training, "computes_in_bfloat16", lambda: native)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = Config(
        steps=1, objective="contrast", start="random", size=32, dimension=8, batch=2, workers=0, bfloat16=True
    )
    train(config, drawn(4), None, tmp_path / "run")
    assert ("bfloat16" in capsys.readouterr().out) == told


def test_distillation_approaches_the_teacher(drawn: Draw, targets: Callable[..., Path], tmp_path: Path) -> None:
    items = drawn(8)
    config = Config(
        steps=100, start="random", size=64, dimension=4, batch=8, warm_up=10, temperature=1.0, workers=0, unedited=1.0
    )
    train(config, items, targets(items), tmp_path / "run")
    with open(tmp_path / "run" / "log.csv", newline="") as log:
        first, last = (float(row["distance"]) for row in csv.DictReader(log))
    assert last < 0.7 * first


def test_anchored_photographs_are_held_to_their_targets(
    drawn: Draw, short: Config, targets: Callable[..., Path], tmp_path: Path
) -> None:
    items = drawn(8)
    config = replace(short, objective="distillation")
    taught = read_targets(targets(items), items, config.dimension)
    free, held = (
        training._Training(replace(config, anchor_weight=weight), items, taught, tmp_path) for weight in (0.0, 5.0)
    )
    goal = torch.from_numpy(taught.rows)
    numbers, nobody = torch.arange(8), torch.full((8, 1), -1)
    unedited = torch.ones(8, dtype=torch.bool)
    for said, which, expected in ((goal, unedited, 0.0), (-goal, unedited, 10.0), (-goal, ~unedited, 0.0)):
        without, more = (begun._losses(said, numbers, nobody, which)[2] for begun in (free, held))
        assert float(more - without) == pytest.approx(expected, abs=1e-3)


class KilledError(Exception):
    pass


@pytest.mark.parametrize("way", ["contrast", "following", "places"])
def test_a_killed_run_goes_on_at_the_step_where_it_was(
    drawn: Draw,
    short: Config,
    targets: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    items = drawn(8)
    config, teacher = replace(short, steps=6), None
    if way == "places":
        config = replace(config, objective="distillation", places_weight=1.0, size=128)
        teacher = targets(items)
    elif way == "following":
        config = replace(config, objective="distillation", follow=0.5, looks=3, averaging=2)
        teacher = targets(items)
    whole = train(config, items, teacher, tmp_path / "whole")
    monkeypatch.setattr(training, "SAVE_SECONDS", -1)
    update = training._Training.update

    def killed_in_the_fifth(self: training._Training, *arguments: object) -> tuple[float, float, float]:
        if self.step == 4:
            raise KilledError
        return update(self, *arguments)

    monkeypatch.setattr(training._Training, "update", killed_in_the_fifth)
    with pytest.raises(KilledError):
        train(config, items, teacher, tmp_path / "run")
    assert load_checkpoint(tmp_path / "run")["step"] == 4
    monkeypatch.setattr(training._Training, "update", update)
    resumed = train(config, items, teacher, tmp_path / "run")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, msg=name)


def test_the_model_is_the_moving_mean_of_the_weights(
    drawn: Draw, short: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(short, steps=3, averaging=4)
    weights = []
    update = training._Training.update

    def watched(self: training._Training, batch: Batch, rate: float) -> tuple[float, float, float]:
        result = update(self, batch, rate)
        weights.append(self.student.project.weight.detach().clone())
        return result

    monkeypatch.setattr(training._Training, "update", watched)
    trained = train(config, drawn(8), None, tmp_path / "run")
    mean = weights[0]
    for later in weights[1:]:
        mean = 0.75 * mean + 0.25 * later
    torch.testing.assert_close(trained.project.weight, mean)
    assert not torch.equal(mean, weights[-1])
    kept, _ = load_student(tmp_path / "run")
    torch.testing.assert_close(kept.project.weight, mean)


def test_targets_follow_what_is_said_of_their_photographs_after_the_last_look(
    drawn: Draw, short: Config, targets: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = drawn(30)
    path = targets(items)
    config = replace(short, objective="distillation", looks=2, follow=0.5)
    begun = read_targets(path, items, config.dimension).rows
    moved = []
    update = training._Training.update

    def watched(self: training._Training, batch: Batch, rate: float) -> tuple[float, float, float]:
        result = update(self, batch, rate)
        now: NDArray[np.float32] = self.state(0)["targets"].numpy().copy()
        moved.append((set(np.flatnonzero(np.abs(now - begun).max(1) > 1e-5).tolist()), set(batch.numbers.tolist())))
        np.testing.assert_allclose(np.linalg.norm(now, axis=1), 1, atol=1e-5)
        return result

    monkeypatch.setattr(training._Training, "update", watched)
    train(config, items, path, tmp_path / "run")
    (after_one, _), (after_two, seen) = moved
    assert not after_one
    assert after_two == seen


def test_frozen_normalisations_keep_their_means_and_go_on_from_what_the_model_says(
    drawn: Draw, short: Config, tmp_path: Path
) -> None:
    items = drawn(8)
    config = replace(short, frozen_norms=True)
    torch.manual_seed(config.seed)
    begun = training.begin(config, items).state_dict()
    trained = train(config, items, None, tmp_path / "run").state_dict()
    for name in begun:
        if "running" in name or "num_batches" in name:
            torch.testing.assert_close(trained[name], begun[name], msg=name)
    assert any(not torch.equal(trained[name], begun[name]) for name in begun if name.endswith("weight"))


def test_each_edited_photograph_is_looked_at_again_mirrored_or_turned(drawn: Draw, short: Config) -> None:
    items = drawn(8)
    config = replace(short, looks=3)

    def first(count: int, step: int) -> list[Batch]:
        return [batch for batch, _ in zip(training._batches(config, items, step), range(count), strict=False)]

    batches = first(6, 0)
    for number in (0, 3):
        first_look = batches[number]
        views, sources = (
            [torch.rot90(part.flip(3), quarter, (2, 3)) for quarter in range(4)]
            for part in (first_look.views, first_look.sources)
        )
        for again in batches[number + 1 : number + 3]:
            assert torch.equal(again.numbers, first_look.numbers)
            assert not again.unedited.any()
            assert any(
                torch.equal(again.views, turned) and torch.equal(again.sources, moved)
                for turned, moved in zip(views, sources, strict=True)
            )
    assert not torch.equal(batches[0].views, batches[3].views)
    for resumed, batch in zip(first(2, 4), batches[4:], strict=True):
        assert all(torch.equal(one, other) for one, other in zip(resumed, batch, strict=True))


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


def test_a_run_begins_with_an_earlier_model_of_fewer_scales(
    export_student: Callable[[Path, Sequence[NDArray[np.uint8]], int], Path],
    drawn: Draw,
    short: Config,
    tmp_path: Path,
) -> None:
    pictures = np.stack([drawn_picture(number, (short.size, short.size)) for number in range(4)])
    start = export_student(tmp_path, list(pictures), short.dimension)
    config = replace(short, start=str(start), scales=2)
    student = training.begin(config, drawn(8)).eval()
    earlier = Student.from_onnx(start)
    earlier.look_at_more(2)
    with torch.inference_mode():
        said, expected = (one.eval()(torch.from_numpy(pictures)) for one in (student, earlier))
    torch.testing.assert_close(said, expected, atol=5e-3, rtol=0)
    with pytest.raises(ModelError, match=r"model\.onnx: has \d+ dimensions and 1 scales, where the run has 7 and 2"):
        train(replace(config, dimension=7), drawn(8), None, tmp_path / "run")


def test_a_run_learns_through_the_background_of_its_start(
    export_student: Callable[[Path, Sequence[NDArray[np.uint8]], int], Path],
    drawn: Draw,
    short: Config,
    targets: Callable[..., Path],
    tmp_path: Path,
) -> None:
    pictures = [drawn_picture(number, (short.size, short.size)) for number in range(8)]
    plain = export_student(tmp_path / "plain", pictures, short.dimension)
    background = Background(load_model(plain).describe(pictures[:5]))
    add_background(plain, background, "2", "with a background", tmp_path / "start")
    start = tmp_path / "start" / "model.onnx"
    items = drawn(8)
    config = replace(short, start=str(start), objective="distillation", frozen_norms=True, frozen_blocks=2)
    student = train(config, items, targets(items), tmp_path / "run")
    again, _ = load_student(tmp_path / "run")
    before = Student.from_onnx(start)
    for learnt in (student, again):
        assert learnt.background is not None and before.background is not None
        assert torch.equal(learnt.background.rows, before.background.rows)
        assert not torch.equal(learnt.project.weight, before.project.weight)
    images = torch.from_numpy(np.stack(pictures))
    with torch.inference_mode():
        torch.testing.assert_close(student(images), again(images))
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    state = torch.load(checkpoint, weights_only=True)
    del state["student"]["background.strength"]  # as it was before a background had one
    torch.save(state, checkpoint)
    for begin in (
        lambda: load_student(tmp_path / "run"),
        lambda: train(config, items, targets(items), tmp_path / "run"),
    ):
        with pytest.raises(InvalidDataError, match="checkpoint is of another version of Ectype"):
            begin()
