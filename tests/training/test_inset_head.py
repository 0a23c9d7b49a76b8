from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

from ectype.descriptors import load_model
from ectype.errors import InvalidDataError, ModelError
from ectype.images import ImageItem
from ectype.transformations.materials import drawn_picture
from ectype.transformations.noise import coded
from ectype_training.inset_head import InsetHead, add_head, train_head
from ectype_training.inset_samples import InsetSamples
from ectype_training.student import Student

SIZE = 64

Draw = Callable[..., list[ImageItem]]


@pytest.fixture
def model(tmp_path: Path, export_student: Callable[[Path, Sequence[np.ndarray], int], Path]) -> Path:
    pictures = [drawn_picture(number, (SIZE, SIZE)) for number in range(8)]
    return export_student(tmp_path / "model", pictures, 16)


def test_samples_are_the_same_each_time_and_tell_where_an_inset_is(drawn: Draw) -> None:
    samples = InsetSamples(drawn(30), SIZE, 8, 60, 1)
    rows = list(samples)
    assert len(rows) == 60
    for number in (0, 17, 59):
        again = samples.draw(number)
        assert np.array_equal(again.picture, rows[number].picture)
        assert np.array_equal(again.covered, rows[number].covered)
    assert {row.picture.shape for row in rows} == {(SIZE, SIZE, 3)}
    assert {row.covered.shape for row in rows} == {(8, 8)}
    covered = np.array([row.covered.mean() for row in rows])
    assert 0.3 < (covered > 0).mean() < 0.8
    assert covered.max() <= 0.93
    assert all(row.covered.min() >= 0 and row.covered.max() <= 1 for row in rows)


def test_a_jpeg_keeps_its_colours() -> None:
    orange = np.full((32, 32, 3), (250, 120, 10), np.uint8)
    assert np.abs(coded(orange, "JPEG", 90).astype(int) - orange).max() < 8


def test_a_head_learns_to_find_insets(drawn: Draw, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    student = Student(8)
    student.backbone.load_imagenet()
    train_head(student.eval(), drawn(60), 96, count=400, epochs=12)
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("epoch 12 of 12: InsetScores(overlap=")
    assert float(last.split("overlap=")[1].split(",")[0]) > 0.25


def test_too_little_to_learn_from_is_refused(drawn: Draw) -> None:
    with pytest.raises(InvalidDataError, match="0 readable photographs and 100 samples are too few"):
        train_head(Student(8).eval(), [], SIZE, count=100, epochs=1)
    with pytest.raises(InvalidDataError, match="3 readable photographs and 4 samples are too few"):
        train_head(Student(8).eval(), drawn(3), SIZE, count=4, epochs=1)


def test_a_model_with_a_head_describes_as_before_and_finds_insets(model: Path, tmp_path: Path) -> None:
    torch.manual_seed(3)
    head = InsetHead().eval()
    pictures = np.stack([drawn_picture(number, (SIZE, SIZE)) for number in range(6)])
    card = add_head(model, head, pictures, "2", tmp_path / "finding")
    assert (card.insets, card.version) == (True, "2")
    file = tmp_path / "finding" / "model.onnx"
    before, after = Student.from_onnx(model).eval(), Student.from_onnx(file).eval()
    with torch.no_grad():
        assert torch.equal(before(torch.from_numpy(pictures)), after(torch.from_numpy(pictures)))
        likelihoods = head(*before.backbone.early(before.looked_at(torch.from_numpy(pictures))[0])).sigmoid()
    for runtime in ("openvino", "onnxruntime"):
        descriptors, seen = load_model(file, runtime=runtime)._runtime.run(pictures)
        assert seen.shape == (6, 8, 8)
        np.testing.assert_allclose(seen, likelihoods, atol=0.02)
        np.testing.assert_allclose(descriptors, before(torch.from_numpy(pictures)).detach(), atol=0.01)
    with pytest.raises(ModelError, match="finds insets already"):
        add_head(file, head, pictures, "3", tmp_path / "twice")
