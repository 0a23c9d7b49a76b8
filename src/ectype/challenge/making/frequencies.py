"""How often each kind of edit is drawn."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ectype.errors import ChallengeError, UsageError
from ectype.transformations import KINDS

ADVERSARIAL_ATTACK = "adversarial_attack"
"""The one kind that needs gradients of a model, and so is no edit of `ectype.transformations`."""

Frequencies = Mapping[str, float]
"""Weights by kind; only their ratios count."""

FINAL_TEST_SET: Frequencies = MappingProxyType(
    {
        "overlay_text": 1737,
        "overlay_emoji": 1753,
        "convert_color": 1871,
        "overlay_stripes": 1735,
        ADVERSARIAL_ATTACK: 1201,
        "ig_filter": 1066,
        "ar_effect": 1049,
        "saturation": 1021,
        "grayscale": 1018,
        "brightness": 1009,
        "pixelization": 677,
        "blur": 648,
        "encoding_quality": 644,
        "shuffle_pixels": 643,
        "legofy": 633,
        "pil_filter": 631,
        "random_noise": 621,
        "hflip": 498,
        "pad_square": 494,
        "overlay_blurred_mask": 479,
        "vflip": 474,
        "change_aspect_ratio": 474,
        "overlay_onto_image": 470,
        "crop": 468,
        "collage": 454,
        "perspective": 450,
        "overlay_onto_screenshot": 438,
        "rotate": 417,
    }
)
"""Of the Image Similarity Challenge's final test set: how many of its 10,000 copies have an edit of each kind."""


def checked(kinds: Frequencies) -> Frequencies:
    """The kinds that are drawn at all, those with a weight above 0, in alphabetical order.

    Raises
    ------
    UsageError
        A kind is unknown, a weight is no finite number from 0 on, or none is above 0.
    """
    for name, weight in kinds.items():
        if name not in KINDS and name != ADVERSARIAL_ATTACK:
            raise UsageError(
                f"there is no kind of edit named {name!r}; there are {', '.join((*KINDS, ADVERSARIAL_ATTACK))}"
            )
        if type(weight) not in (int, float) or not math.isfinite(weight) or weight < 0:
            raise UsageError(f"the weight of {name} must be a number from 0 on, not {weight!r}")
    drawn = {name: weight for name, weight in sorted(kinds.items()) if weight > 0}
    if not drawn:
        raise UsageError("no kind of edit is left to draw; at least one needs a weight above 0")
    return drawn


def read_kinds(path: str | Path) -> Frequencies:
    """Read weights by kind from a file: TOML lines ``name = weight``, or one JSON object.

    Raises
    ------
    UsageError
        The file is neither .toml nor .json.
    ChallengeError
        It can't be read, or does not have names with weights.
    """
    path = Path(path)
    loaders = {".toml": tomllib.loads, ".json": json.loads}
    if path.suffix.lower() not in loaders:
        raise UsageError(f"{path}: kinds and their weights are read from .toml and .json files")
    try:
        content: Any = loaders[path.suffix.lower()](path.read_text("utf-8"))
    except OSError as error:
        raise ChallengeError(f"{path}: can't be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ChallengeError(f"{path}: can't be understood: {error}") from error
    if not isinstance(content, dict):
        raise ChallengeError(f"{path}: must be an object of kinds with their weights, such as {{'crop': 2}}")
    try:
        return checked(content)
    except UsageError as error:
        raise ChallengeError(f"{path}: {error}") from None
