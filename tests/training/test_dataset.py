from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from ectype.descriptors.preprocessing import square
from ectype.errors import InvalidDataError
from ectype.images import ImageItem, decode_image
from ectype.transformations import KINDS
from ectype_training.config import Config
from ectype_training.dataset import EditedPhotographs, load

Draw = Callable[..., list[ImageItem]]


def test_batches_do_not_depend_on_who_draws_them_or_where_one_begins(drawn: Draw, short: Config) -> None:
    items = drawn(8)
    alone = list(islice(EditedPhotographs(items, short), 5))
    for workers in (1, 2):
        loader = load(EditedPhotographs(items, short, start=2), workers)
        for expected, found in zip(alone[2:], islice(loader, 3), strict=True):
            assert all(torch.equal(one, other) for one, other in zip(expected, found, strict=True))


def test_contrast_has_two_edits_and_distillation_one(drawn: Draw, short: Config) -> None:
    items = drawn(4)
    two = next(iter(EditedPhotographs(items, short)))[0]
    one = next(iter(EditedPhotographs(items, replace(short, objective="distillation"))))[0]
    assert two.shape == (4, 2, 48, 48, 3)
    assert one.shape == (4, 1, 48, 48, 3)
    assert not torch.equal(two[:, 0], two[:, 1])


def test_a_run_of_unedited_photographs_shows_them_as_they_are(drawn: Draw, short: Config) -> None:
    items = drawn(4)
    views, number, present, unedited, sources = EditedPhotographs(items, replace(short, unedited=1.0)).draw(3)
    assert unedited
    assert np.allclose(sources[0], np.stack(np.meshgrid([0.25, 0.75], [0.25, 0.75]), axis=2))
    assert np.array_equal(views[0], square(decode_image(items[number].read()), 48))
    assert (present == -1).all()


def test_photographs_that_an_edit_brings_in_are_told(drawn: Draw, short: Config) -> None:
    others = tuple(name for name in KINDS if name != "overlay_onto_image")
    data = EditedPhotographs(drawn(8), replace(short, unedited=0.0, leave_out=others))
    samples = [data.draw(number) for number in range(20)]
    for _, number, present, unedited, _ in samples:
        assert number not in present
        assert not unedited
    assert sum((present >= 0).any() for _, _, present, _, _ in samples) > 10


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("hflip", [[[0.75, 0.25], [0.25, 0.25]], [[0.75, 0.75], [0.25, 0.75]]]),
        ("vflip", [[[0.25, 0.75], [0.75, 0.75]], [[0.25, 0.25], [0.75, 0.25]]]),
    ],
)
def test_sources_say_where_places_come_from(
    drawn: Draw, short: Config, kind: str, expected: list[list[list[float]]]
) -> None:
    others = tuple(name for name in KINDS if name != kind)
    data = EditedPhotographs(drawn(4), replace(short, unedited=0.0, leave_out=others))
    assert np.allclose(data.draw(0).sources, [expected] * 2)


def test_places_of_other_photographs_come_from_nowhere(drawn: Draw, short: Config) -> None:
    others = tuple(name for name in KINDS if name != "collage")
    data = EditedPhotographs(drawn(8), replace(short, size=320, unedited=0.0, leave_out=others))
    sources = np.stack([data.draw(number).sources for number in range(20)])
    nowhere = (sources == -1).all(axis=4)
    assert 0.5 < nowhere.mean() < 0.9
    assert ((sources >= 0) & (sources <= 1)).all(axis=4)[~nowhere].all()


def test_an_unreadable_photograph_is_left_out_with_a_word(
    drawn: Draw, short: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    items = drawn(4)
    Path(items[1].location).write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    numbers = {EditedPhotographs(items, short).draw(sample).number for sample in range(30)}
    assert numbers == {0, 2, 3}
    assert "left out" in capsys.readouterr().err


def test_nothing_but_unreadable_photographs_ends_it(drawn: Draw, short: Config) -> None:
    items = drawn(3)
    for item in items:
        Path(item.location).write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(InvalidDataError, match="can't be read"):
        EditedPhotographs(items, short).draw(0)
