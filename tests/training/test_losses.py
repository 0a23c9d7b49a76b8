from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from ectype_training.losses import contrast, distillation, koleo

NOBODY = torch.full((1, 2), -1)


def unit(*rows: tuple[float, ...]) -> torch.Tensor:
    return functional.normalize(torch.tensor(rows, dtype=torch.float32))


def test_distillation_is_least_where_the_descriptor_is_the_target() -> None:
    targets = torch.eye(3)
    exact = distillation(targets[:1], targets, torch.tensor([0]), NOBODY, 0.1)
    other = distillation(unit((1, 1, 0)), targets, torch.tensor([0]), NOBODY, 0.1)
    assert exact.distance == pytest.approx(0)
    assert other.distance == pytest.approx(1 - math.sqrt(0.5))
    assert exact.contrast < other.contrast


def test_a_photograph_that_is_in_the_picture_too_is_not_held_against_it() -> None:
    targets = torch.eye(3)
    both = unit((1, 1, 0))
    numbers = torch.tensor([0])
    held = distillation(both, targets, numbers, NOBODY, 0.1).contrast
    forgiven = distillation(both, targets, numbers, torch.tensor([[1, -1]]), 0.1).contrast
    assert held == pytest.approx(math.log(2), abs=2e-3)
    assert forgiven == pytest.approx(0, abs=2e-3)


def test_the_own_target_stays_even_if_it_was_pasted_in_again() -> None:
    loss = distillation(unit((1, 0, 0)), torch.eye(3), torch.tensor([0]), torch.tensor([[0, -1]]), 0.1).contrast
    assert torch.isfinite(loss)


def test_separation_wants_one_threshold_for_all_pictures() -> None:
    targets = torch.eye(4)
    numbers, nobody = torch.tensor([0, 1]), torch.full((2, 1), -1)

    def separation(*rows: tuple[float, ...]) -> float:
        return float(distillation(torch.tensor(rows), targets, numbers, nobody, 0.1).separation)

    # In both cases each picture is 0.4 closer to its own target than to another; only the first share a threshold.
    together = separation((0.7, 0.3, 0.0, 0.0), (0.3, 0.7, 0.0, 0.0))
    apart = separation((0.4, 0.0, 0.0, 0.0), (0.6, 1.0, 0.0, 0.0))
    assert together < apart


def test_spread_is_of_the_nearest_target_that_is_not_in_the_picture() -> None:
    targets = unit((1, 0, 0), (1, 1, 0), (0, 0, 1))
    own, numbers = unit((1, 0, 0)), torch.tensor([0])

    def spread(*present: int) -> float:
        return float(distillation(own, targets, numbers, torch.tensor([present]), 0.1).spread)

    assert spread(-1, -1) == pytest.approx(-math.log(math.sqrt(2 - math.sqrt(2))), abs=1e-4)
    assert spread(1, -1) == pytest.approx(-math.log(math.sqrt(2)), abs=1e-4)
    assert math.isfinite(spread(1, 2))


def test_contrast_of_random_rows_is_the_log_of_the_others() -> None:
    torch.manual_seed(0)
    rows = functional.normalize(torch.randn(64, 512))
    others = functional.normalize(torch.randn(64, 512))
    loss = contrast(rows, others, torch.arange(64), temperature=10.0)
    assert loss == pytest.approx(math.log(127), abs=0.02)
    assert contrast(rows, rows, torch.arange(64), temperature=0.01) < 0.01


def test_the_same_photograph_twice_in_a_batch_is_not_held_against_itself() -> None:
    rows = torch.eye(3)[[0, 0, 1]]
    assert contrast(rows, rows, torch.tensor([0, 0, 1]), 0.05) == pytest.approx(0, abs=1e-3)
    assert contrast(rows, rows, torch.tensor([0, 1, 2]), 0.05) > 0.3


def test_koleo_falls_as_rows_spread() -> None:
    near = unit((1, 0), (1, 0.1), (0, 1), (0.1, 1))
    far = unit((1, 0), (0, 1), (-1, 0), (0, -1))
    assert koleo(far) < koleo(near)
    assert koleo(far) == pytest.approx(-math.log(math.sqrt(2)))
