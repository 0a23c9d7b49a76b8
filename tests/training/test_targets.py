from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ectype.errors import InvalidDataError
from ectype.images import ImageItem
from ectype_training.targets import read_targets, reduced, turned

Draw = Callable[..., list[ImageItem]]


def test_targets_come_in_the_order_of_the_photographs(drawn: Draw, targets: Callable[..., Path]) -> None:
    items = drawn(6)
    path = targets(items, 6)
    forward, backward = read_targets(path, items, 4).rows, read_targets(path, items[::-1], 4).rows
    assert forward.shape == (6, 4)
    np.testing.assert_allclose(np.linalg.norm(forward, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(forward @ forward.T, (backward @ backward.T)[::-1, ::-1], atol=1e-4)


def test_all_components_keep_the_distances_of_centred_rows() -> None:
    vectors = np.random.default_rng(0).normal(size=(50, 8)).astype(np.float32)
    rows = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    centred = rows - rows.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    kept = reduced(vectors, 8)
    np.testing.assert_allclose(kept @ kept.T, centred @ centred.T, atol=1e-4)


@given(st.integers(0, 1000))
def test_turning_finds_a_rotation_and_keeps_distances(seed: int) -> None:
    rng = np.random.default_rng(seed)
    goal = rng.normal(size=(30, 5))
    goal = (goal / np.linalg.norm(goal, axis=1, keepdims=True)).astype(np.float32)
    rotation, _ = np.linalg.qr(rng.normal(size=(5, 5)))
    rows = np.arange(20)
    found = turned(goal, (goal @ rotation).astype(np.float32)[rows], rows)
    np.testing.assert_allclose(found, goal @ rotation, atol=1e-4)
    np.testing.assert_allclose(found @ found.T, goal @ goal.T, atol=1e-4)


def test_a_photograph_without_target_is_named(drawn: Draw, targets: Callable[..., Path]) -> None:
    path = targets(drawn(3))
    with pytest.raises(InvalidDataError, match="2 of 5 photographs, '0003'"):
        read_targets(path, drawn(2, first=3), 4)


def test_too_few_dimensions_and_other_files_are_refused(
    drawn: Draw, targets: Callable[..., Path], tmp_path: Path
) -> None:
    items = drawn(3)
    with pytest.raises(InvalidDataError, match="24 dimensions can't teach 64"):
        read_targets(targets(items), items, 64)
    other = tmp_path / "other.npz"
    other.write_bytes(b"nothing")
    with pytest.raises(InvalidDataError, match=r"other\.npz: not a file of targets"):
        read_targets(other, items, 4)
