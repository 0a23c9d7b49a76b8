from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from ectype.descriptors import load_model
from ectype.errors import InvalidDataError, ModelError
from ectype.images import ImageItem
from ectype.transformations.materials import drawn_picture
from ectype_training.averaging import average
from ectype_training.config import Config
from ectype_training.efficientnet_lite import WIDTHS
from ectype_training.narrowing import MULTIPLE, narrow
from ectype_training.onnx_export import Identity
from ectype_training.run import read_identity
from ectype_training.student import Student, load_student
from ectype_training.student import export_student as write_student
from ectype_training.train import train

SIZE = 48


@pytest.fixture
def pictures() -> torch.Tensor:
    return torch.from_numpy(np.stack([drawn_picture(number, (SIZE, SIZE)) for number in range(24)]))


@pytest.fixture
def model(tmp_path: Path, pictures: torch.Tensor) -> Path:
    torch.manual_seed(0)
    student = Student(16)
    student.backbone.load_imagenet()
    write_student(student, Identity("whole", "1", "Apache-2.0", ""), pictures.numpy(), tmp_path / "model")
    return tmp_path / "model" / "model.onnx"


def _given(student: Student, pictures: torch.Tensor, block: int) -> torch.Tensor:
    """What a block gives for pictures: (channels, values)."""
    x = student.backbone.stem(student.looked_at(pictures)[0])
    for part in student.backbone._blocks[: block + 1]:
        x = part(x)
    return x.transpose(0, 1).flatten(1)


@torch.no_grad()
@pytest.mark.parametrize("block", [1, 3, 12])
def test_no_more_is_lost_than_is_allowed_and_nothing_on_average(
    model: Path, pictures: torch.Tensor, block: int
) -> None:
    whole, narrowed = Student.from_onnx(model).eval(), Student.from_onnx(model).eval()
    errors = [0.2 if number == block else 0.0 for number in range(len(WIDTHS))]
    widths = narrow(narrowed, pictures, errors)
    assert widths[block] < WIDTHS[block]
    assert widths[block] % MULTIPLE == 0
    assert [width for number, width in enumerate(widths) if number != block] == [
        width for number, width in enumerate(WIDTHS) if number != block
    ]
    before, after = _given(whole, pictures, block), _given(narrowed, pictures, block)
    assert (after - before).var(1).sum() <= 0.21 * before.var(1).sum()
    torch.testing.assert_close(after.mean(1), before.mean(1), atol=0.01, rtol=0.01)


@torch.no_grad()
def test_what_others_say_is_left_out_for_nothing(model: Path, pictures: torch.Tensor) -> None:
    student = Student.from_onnx(model).eval()
    block = student.backbone._blocks[5]
    for weights in (block._expand_conv.weight, block._depthwise_conv.weight, block._bn0.bias, block._bn1.bias):
        weights[16:32] = weights[:16]  # sixteen channels say what sixteen others do
    before = student(pictures)
    widths = narrow(student, pictures, [1e-3 if number == 5 else 0.0 for number in range(len(WIDTHS))])
    assert widths[5] <= WIDTHS[5] - 16
    assert (student(pictures) * before).sum(1).min() > 0.99


def test_a_narrowed_model_is_written_and_read_again(model: Path, pictures: torch.Tensor, tmp_path: Path) -> None:
    student = Student.from_onnx(model).eval()
    widths = narrow(student, pictures, [0.1] * len(WIDTHS))
    assert widths != list(WIDTHS)
    write_student(student, Identity("narrow", "1", "Apache-2.0", ""), pictures.numpy(), tmp_path / "narrow")
    again = Student.from_onnx(tmp_path / "narrow" / "model.onnx").eval()
    assert again.backbone.widths == widths
    with torch.no_grad():
        torch.testing.assert_close(again(pictures), student(pictures), atol=0.01, rtol=0)


def test_a_narrowed_student_learns_to_say_what_the_whole_one_says(
    model: Path, pictures: torch.Tensor, drawn: Callable[..., list[ImageItem]], short: Config, tmp_path: Path
) -> None:
    student = Student.from_onnx(model).eval()
    widths = narrow(student, pictures, [0.3] * len(WIDTHS))
    write_student(student, Identity("narrow", "1", "Apache-2.0", ""), pictures.numpy(), tmp_path / "narrow")
    config = replace(
        short,
        steps=40,
        batch=16,
        objective="imitation",
        model=str(model),
        start=str(tmp_path / "narrow" / "model.onnx"),
        rate=1e-3,
        frozen_norms=True,
        most_edits=1,
    )
    learnt = train(config, drawn(40), None, tmp_path / "run")
    whole = load_model(model)
    seen = [drawn_picture(number, (SIZE, SIZE)) for number in range(100, 130)]
    batch, said = torch.from_numpy(np.stack(seen)), torch.from_numpy(whole.describe(seen))
    with torch.no_grad():
        before, after = (1 - (which(batch) * said).sum(1).mean().item() for which in (student, learnt))
    assert after < 0.7 * before, (before, after)
    assert read_identity(tmp_path / "run")["model"] == str(model)
    resumed, _ = load_student(tmp_path / "run")
    assert resumed.backbone.widths == widths


def test_a_model_of_other_dimensions_is_not_imitated(
    model: Path, drawn: Callable[..., list[ImageItem]], short: Config, tmp_path: Path
) -> None:
    config = replace(short, objective="imitation", model=str(model), dimension=8)
    with pytest.raises(ModelError, match=r"model\.onnx: has 16 dimensions, where the run has 8"):
        train(config, drawn(4), None, tmp_path / "run")


def test_a_narrowed_model_has_no_middle_with_the_whole_one(model: Path, pictures: torch.Tensor, tmp_path: Path) -> None:
    student = Student.from_onnx(model).eval()
    narrow(student, pictures, [0.0] * 15 + [0.1])
    write_student(student, Identity("narrow", "1", "Apache-2.0", ""), pictures.numpy(), tmp_path / "narrow")
    with pytest.raises(ModelError, match="not of the architecture"):
        average(model, tmp_path / "narrow" / "model.onnx")


@pytest.mark.parametrize("errors", [[0.1], [0.1] * 15 + [1.0], [-0.1] * 16, [float("nan")] * 16])
def test_errors_that_can_not_be_are_refused(pictures: torch.Tensor, errors: list[float]) -> None:
    with pytest.raises(InvalidDataError, match="one error from 0 to less than 1 for each of 16 blocks"):
        narrow(Student(8).eval(), pictures, errors)
