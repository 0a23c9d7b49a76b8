from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectype.errors import InvalidDataError
from ectype.images import ImageItem, decode_image
from ectype_training.student import Student, StudentModel
from ectype_training.whitening import whiten, whitening_of


def unit_rows(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(400, 6)) * np.array([4, 3, 2, 1, 0.5, 0.2])
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@given(st.integers(0, 1000))
def test_full_strength_makes_all_moments_equal_and_none_changes_nothing(seed: int) -> None:
    rows = unit_rows(seed)
    even = rows @ whitening_of(rows, 1.0)
    moments = np.linalg.eigvalsh(even.T @ even)
    assert moments[0] == pytest.approx(moments[-1], rel=1e-2)
    np.testing.assert_allclose(whitening_of(rows, 0.0), np.eye(6), atol=1e-5)


def test_the_folded_student_gives_the_whitened_descriptors(drawn: Callable[..., list[ImageItem]]) -> None:
    items = drawn(12)
    student = Student(4)
    pictures = [decode_image(item.read()) for item in items]
    before = StudentModel(student, 48).describe(pictures)
    expected = before @ whitening_of(before, 0.7)
    whiten(student, items, 48, 0.7)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(StudentModel(student, 48).describe(pictures), expected, atol=1e-3)


def test_too_few_photographs_and_other_strengths_are_refused(drawn: Callable[..., list[ImageItem]]) -> None:
    with pytest.raises(InvalidDataError, match="too few"):
        whiten(Student(16), drawn(3), 48, 0.5)
    with pytest.raises(InvalidDataError, match="from 0 to 1"):
        whiten(Student(2), drawn(3), 48, 1.5)
