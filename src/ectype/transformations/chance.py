"""Drawing parameters: plain numbers that JSON keeps as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")


def uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number in [low, high], of four decimals."""
    return round(float(rng.uniform(low, high)), 4)


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A number in [low, high] whose logarithm is even: as likely to halve as to double."""
    return round(float(np.exp(rng.uniform(np.log(low), np.log(high)))), 4)


def whole(rng: np.random.Generator, low: int, high: int) -> int:
    """A whole number in [low, high]."""
    return int(rng.integers(low, high + 1))


def one_of(rng: np.random.Generator, choices: Sequence[T]) -> T:
    """One of some values, each as likely."""
    return choices[int(rng.integers(len(choices)))]


def either(rng: np.random.Generator, chance: float = 0.5) -> bool:
    """True with a chance."""
    return bool(rng.random() < chance)


def colour(rng: np.random.Generator) -> list[int]:
    """Red, green and blue."""
    return [int(value) for value in rng.integers(0, 256, 3)]


def seed(rng: np.random.Generator) -> int:
    """A number to draw further chance from, when the edit is applied."""
    return int(rng.integers(2**31))
