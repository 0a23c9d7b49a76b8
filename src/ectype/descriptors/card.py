"""The card of a model file: what it takes, what it gives, whose it is."""

from __future__ import annotations

import hashlib
import json
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ectype.descriptors.frames import FRAME_RULE
from ectype.descriptors.insets import INSET_RULE
from ectype.descriptors.preprocessing import RESIZE_RULES
from ectype.errors import ModelError
from ectype.types import MAX_DIMENSION

CARD_SUFFIX = ".json"
_DECIDING = ("sha256", "input_size", "input_type", "input_layout", "resize", "mean", "std", "dimension")


@dataclass(frozen=True, slots=True)
class ModelCard:
    """What must be known to run an ONNX file as a descriptor model.

    Attributes
    ----------
    name, version : str
    sha256 : str
        Of the ONNX file, in hexadecimal.
    input_size : int
        Height and width of the input, in pixels.
    input_type : {"uint8", "float32"}
        ``uint8``: the graph normalises by itself, `mean` and `std` say how. ``float32``: Ectype computes
        ``(pixel - mean) / std`` first.
    input_layout : {"nhwc", "nchw"}
    resize : {"square", "centre"}
        How a picture becomes a square; see `ectype.descriptors.preprocessing`.
    mean, std : tuple of three floats
        Per channel (red, green, blue), for pixel values 0 to 255.
    dimension : int
        Of a descriptor; at most `ectype.types.MAX_DIMENSION`.
    bfloat16 : bool
        Whether processors that compute in bfloat16 may do so: the descriptors then still have a cosine of at least
        0.999 to those of float32, but for some of pictures with an inset, which may be seen differently.
    licence : str
    description : str
        Where weights and whitening come from, what was measured, known weaknesses.
    framed_share : float
        How much of a descriptor is that of the picture inside a plain frame, where there is one (see
        `ectype.descriptors.frames`), 0 to 1; with 0 none is looked for.
    insets : bool
        Whether the graph has a second output, of likelihoods (n, k, k) that places belong to a picture inside the
        picture (see `ectype.descriptors.insets`), which is then described, too.
    """

    name: str
    version: str
    sha256: str
    input_size: int
    input_type: str
    input_layout: str
    resize: str
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    dimension: int
    bfloat16: bool
    licence: str
    description: str = ""
    framed_share: float = 0.0
    insets: bool = False

    def __post_init__(self) -> None:
        for field in fields(self):
            if "str" in str(field.type) and not isinstance(getattr(self, field.name), str):
                raise ModelError(f"model card: {field.name} must be a text")
        _check(self.input_type in ("uint8", "float32"), "input_type must be uint8 or float32")
        _check(self.input_layout in ("nhwc", "nchw"), "input_layout must be nhwc or nchw")
        _check(self.resize in RESIZE_RULES, f"resize must be one of {', '.join(RESIZE_RULES)}")
        _check(_is_whole(self.input_size) and 16 <= self.input_size <= 2048, "input_size must be 16 to 2048 pixels")
        _check(_is_whole(self.dimension) and 1 <= self.dimension <= MAX_DIMENSION, f"dimension: 1 to {MAX_DIMENSION}")
        _check(isinstance(self.bfloat16, bool), "bfloat16 must be true or false")
        _check(isinstance(self.insets, bool), "insets must be true or false")
        share = self.framed_share
        _check(isinstance(share, int | float) and not isinstance(share, bool), "framed_share must be a number")
        _check(0 <= share <= 1, "framed_share must be 0 to 1")
        object.__setattr__(self, "framed_share", float(share))
        for name in ("mean", "std"):
            values = getattr(self, name)
            right = isinstance(values, list | tuple) and len(values) == 3
            _check(right and all(isinstance(v, int | float) for v in values), f"{name} must be three numbers")
            object.__setattr__(self, name, tuple(float(v) for v in values))
        _check(all(v > 0 for v in self.std), "std must be above 0")
        _check(len(self.sha256) == 64, "sha256 must be 64 hexadecimal digits")

    @property
    def fingerprint(self) -> str:
        """Digest of everything that decides a descriptor: the weights and the preprocessing."""
        deciding = {name: getattr(self, name) for name in _DECIDING}
        # each where it is used alone, so that cards from before it was known keep their fingerprints
        if self.framed_share:
            deciding |= {"framed_share": self.framed_share, "frame_rule": FRAME_RULE}
        if self.insets:
            deciding |= {"insets": True, "inset_rule": INSET_RULE}
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"


def _check(holds: bool, rule: str) -> None:
    if not holds:
        raise ModelError(f"model card: {rule}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def read_card(path: Path) -> ModelCard:
    """Read a card from its JSON file.

    Raises
    ------
    ModelError
        It is missing, not JSON, lacks a field, has one too many, or a value that can't be.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ModelError(f"{path}: a model file needs its card (docs/models.md shows one)") from None
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: the card can't be read: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: the card must be a JSON object")
    known = {field.name for field in fields(ModelCard)}
    required = {field.name for field in fields(ModelCard) if field.default is MISSING}
    missing, unknown = required - set(content), set(content) - known
    if missing or unknown:
        problems = [f"lacks {', '.join(sorted(missing))}"] if missing else []
        problems += [f"has unknown fields {', '.join(sorted(unknown))}"] if unknown else []
        raise ModelError(f"{path}: the card {' and '.join(problems)}")
    try:
        return ModelCard(**content)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
