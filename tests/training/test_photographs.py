"""One photograph that can't be read stops none of the commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ectype.errors import InvalidDataError
from ectype.images import ImageItem, decode_image
from ectype.testing.thumbnail_model import ThumbnailModel
from ectype_training.config import Config
from ectype_training.kinds import measure_kinds
from ectype_training.photographs import readable
from ectype_training.queries import make_queries
from ectype_training.student import Student
from ectype_training.targets import describe_with_teacher, read_targets
from ectype_training.train import train
from ectype_training.whitening import whiten

Draw = Callable[..., list[ImageItem]]


@pytest.fixture
def damaged(drawn: Draw) -> Callable[[int], list[ImageItem]]:
    """Draws photographs, of which the second is empty and the third no image."""

    def draw(count: int) -> list[ImageItem]:
        items = drawn(count)
        Path(items[1].location).write_bytes(b"")
        Path(items[2].location).write_bytes(b"\x89PNG\r\n\x1a\nbroken")
        return items

    return draw


def test_the_readable_ones_stay_in_order_and_the_others_are_named(
    damaged: Callable[[int], list[ImageItem]], capsys: pytest.CaptureFixture[str]
) -> None:
    items = damaged(6)
    assert readable(items) == [items[0], *items[3:]]
    told = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[:2] for line in told] == [["left out", items[1].location], ["left out", items[2].location]]


def test_queries_are_made_of_the_others(damaged: Callable[[int], list[ImageItem]], tmp_path: Path) -> None:
    make_queries(damaged(12), 6, tmp_path / "made")
    assert len(list((tmp_path / "made" / "references").iterdir())) == 6
    assert len(list((tmp_path / "made" / "queries").iterdir())) == 6


def test_kinds_are_measured_on_the_others(damaged: Callable[[int], list[ImageItem]]) -> None:
    items = damaged(24)
    assert measure_kinds(ThumbnailModel(), items, ["hflip"]) == measure_kinds(
        ThumbnailModel(), readable(items), ["hflip"]
    )
    with pytest.raises(InvalidDataError, match="19 photographs are too few"):
        measure_kinds(ThumbnailModel(), items[:21], ["hflip"])


def test_whitening_is_fitted_on_the_others(damaged: Callable[[int], list[ImageItem]]) -> None:
    items = damaged(10)
    one, other = Student(4), Student(4)
    other.load_state_dict(one.state_dict())
    whiten(one, items, 48, 0.5)
    whiten(other, readable(items), 48, 0.5)
    np.testing.assert_array_equal(one.project.weight.detach().numpy(), other.project.weight.detach().numpy())


def test_a_teacher_describes_the_others_and_a_student_learns_from_them(
    damaged: Callable[[int], list[ImageItem]],
    export_student: Callable[[Path, Sequence[np.ndarray], int], Path],
    short: Config,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    items = damaged(8)
    kept = readable(items)
    (tmp_path / "teacher").mkdir()
    pictures = [decode_image(item.read())[:48, :48] for item in kept]
    teacher = export_student(tmp_path / "teacher", pictures, 20)
    capsys.readouterr()
    describe_with_teacher(teacher, 48, items, tmp_path / "targets.npz")
    assert capsys.readouterr().err.count("left out") == 2
    taught = read_targets(tmp_path / "targets.npz", items, 16)
    assert taught.items == kept
    assert taught.rows.shape == (6, 16)
    trained = train(replace(short, objective="distillation"), items, tmp_path / "targets.npz", tmp_path / "run")
    assert trained.project.out_features == 16


def test_nothing_but_unreadable_photographs_is_refused(
    damaged: Callable[[int], list[ImageItem]],
    export_student: Callable[[Path, Sequence[np.ndarray], int], Path],
    tmp_path: Path,
) -> None:
    items = damaged(3)
    teacher = export_student(tmp_path, [decode_image(items[0].read())[:48, :48]], 8)
    with pytest.raises(InvalidDataError, match="none of the photographs can be read"):
        describe_with_teacher(teacher, 48, items[1:], tmp_path / "targets.npz")
    assert not (tmp_path / "targets.npz").exists()
