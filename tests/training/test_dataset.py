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
    views, number, present, unedited = EditedPhotographs(items, replace(short, unedited=1.0)).draw(3)
    assert unedited
    assert np.array_equal(views[0], square(decode_image(items[number].read()), 48))
    assert (present == -1).all()


def test_photographs_that_an_edit_brings_in_are_told(drawn: Draw, short: Config) -> None:
    from ectype.transformations import KINDS

    others = tuple(name for name in KINDS if name != "overlay_onto_image")
    data = EditedPhotographs(drawn(8), replace(short, unedited=0.0, leave_out=others))
    samples = [data.draw(number) for number in range(20)]
    for _, number, present, unedited in samples:
        assert number not in present
        assert not unedited
    assert sum((present >= 0).any() for _, _, present, _ in samples) > 10


def test_an_unreadable_photograph_is_left_out_with_a_word(
    drawn: Draw, short: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    items = drawn(4)
    Path(items[1].location).write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    numbers = {EditedPhotographs(items, short).draw(sample)[1] for sample in range(30)}
    assert numbers == {0, 2, 3}
    assert "left out" in capsys.readouterr().err


def test_nothing_but_unreadable_photographs_ends_it(drawn: Draw, short: Config) -> None:
    items = drawn(3)
    for item in items:
        Path(item.location).write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(InvalidDataError, match="can't be read"):
        EditedPhotographs(items, short).draw(0)
