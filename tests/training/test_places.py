from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ectype.errors import InvalidDataError
from ectype.images import ImageItem
from ectype_training.places import DIMENSION, PlacesLoss, UneditedPlaces, describe_places
from ectype_training.student import FEATURES, Student

Draw = Callable[..., list[ImageItem]]
SIDE = 5
MIDDLES = (torch.arange(SIDE) + 0.5) / SIDE
UNMOVED = torch.stack(torch.meshgrid(MIDDLES, MIDDLES, indexing="xy"), 2)


def some_places(count: int) -> UneditedPlaces:
    """Places without any likeness, of features that are their first coordinates."""
    rows = np.random.default_rng(0).normal(size=(count, SIDE, SIDE, DIMENSION))
    rows /= np.linalg.norm(rows, axis=3, keepdims=True)
    weight = np.eye(DIMENSION, FEATURES, dtype=np.float32)
    return UneditedPlaces(weight, np.zeros(DIMENSION, np.float32), rows.astype(np.float16))


def features_of(places: UneditedPlaces) -> torch.Tensor:
    rows = torch.from_numpy(places.rows).float().permute(0, 3, 1, 2)
    return torch.cat([rows, torch.zeros(len(rows), FEATURES - DIMENSION, SIDE, SIDE)], 1)


def test_the_loss_is_small_where_places_are_said_rightly_and_only_there() -> None:
    places = some_places(4)
    loss, numbers, features = PlacesLoss(places), torch.arange(4), features_of(places)
    sources = UNMOVED.expand(4, -1, -1, -1)
    with torch.inference_mode():
        assert loss(features, numbers, sources) < 0.02
        assert loss(features.flip(3), numbers, sources.flip(2)) < 0.02
        assert loss(features.flip(3), numbers, sources) > 3
        assert loss(features.roll(1, 0), numbers, sources) > 3


def test_places_that_show_nothing_of_the_photograph_do_not_count() -> None:
    places = some_places(4)
    loss, numbers, features = PlacesLoss(places), torch.arange(4), features_of(places)
    sources = UNMOVED.repeat(4, 1, 1, 1)
    sources[:, :, 3:] = -1
    wrong = features.clone()
    wrong[..., 3:] = features.roll(1, 0)[..., 3:]
    with torch.inference_mode():
        assert loss(wrong, numbers, sources) < 0.02
        assert loss(features, numbers, torch.full_like(sources, -1)) == 0


def test_neighbours_of_a_place_are_not_held_against_it() -> None:
    numbers, sources = torch.zeros(1, dtype=torch.int64), torch.full((1, SIDE, SIDE, 2), -1.0)
    sources[0, 2, 2] = UNMOVED[2, 2]
    losses = []
    for alike in ((2, 3), (2, 4)):
        places = some_places(1)
        places.rows[(0, *alike)] = places.rows[0, 2, 2]
        with torch.inference_mode():
            losses.append(float(PlacesLoss(places)(features_of(places), numbers, sources)))
    assert losses[0] < 0.02
    assert losses[1] == pytest.approx(np.log(2), abs=0.02)


def test_places_between_those_described_are_between_what_these_say() -> None:
    places = some_places(1)
    numbers, sources = torch.zeros(1, dtype=torch.int64), torch.full((1, SIDE, SIDE, 2), -1.0)
    sources[0, 2, 2] = (UNMOVED[2, 2] + UNMOVED[2, 3]) / 2
    features = features_of(places)
    features[0, :, 2, 2] += features[0, :, 2, 3].clone()
    with torch.inference_mode():
        assert PlacesLoss(places)(features, numbers, sources) < 0.02


def test_places_are_described_once_and_read_again(drawn: Draw, tmp_path: Path) -> None:
    torch.manual_seed(0)
    student, out = Student(8).eval(), tmp_path / "places.npz"
    items = drawn(12)
    places = describe_places(student, items, 128, False, out)
    assert places.rows.shape == (12, 4, 4, DIMENSION)
    assert np.allclose(np.linalg.norm(places.rows.astype(np.float32), axis=3), 1, atol=2e-3)
    again = describe_places(Student(8).eval(), items, 128, False, out)
    assert all(np.array_equal(getattr(again, name), getattr(places, name)) for name in ("weight", "bias", "rows"))
    out.write_bytes(b"half a file")
    with pytest.raises(InvalidDataError, match=r"places\.npz: can't be read: .*; delete it"):
        describe_places(student, items, 128, False, out)
