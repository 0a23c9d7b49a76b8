"""What a training run does, read from a TOML file."""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ectype.errors import InvalidDataError
from ectype.transformations import KINDS

MOST_DIMENSIONS = 256
FRESH_STARTS = ("imagenet", "random")


@dataclass(frozen=True, slots=True)
class Config:
    """A training run; the names are those of the TOML file's keys.

    Attributes
    ----------
    steps : int
        Updates of the weights.
    minutes : float or None
        The run ends after this time if that is sooner; its rate then falls with the clock, so that it ends well, and
        two machines don't give the same weights.
    objective : {"distillation", "contrast", "imitation"}
        Say of the edited photograph what a teacher says of the unedited one; tell two edits of one photograph from
        those of others without any teacher; or say of each picture what `model` says of the same, which a narrowed
        network learns soonest.
    model : str
        The ONNX file of an earlier model of the same architecture (imitation).
    start : str
        ``imagenet``, ``random``, or the ONNX file of an earlier model of the same architecture.
    size : int
        Pixels a side of what the student looks at.
    scales : int
        At how many sizes it looks at that: as it is, then with sides halved each time.
    dimension : int
    batch : int
        Photographs a step.
    rate : float
        The highest learning rate; it rises over `warm_up` steps and falls as a cosine to a hundredth.
    weight_decay : float
    temperature : float
        Of the softmax over descriptors.
    cosine_weight : float
        Of one minus the cosine to the teacher's descriptor (distillation).
    separation_weight : float
        Of keeping own and other targets on two sides of one threshold for all pictures (distillation).
    anchor_weight : float
        Of one minus the cosine of unedited photographs to their targets, on top of what all photographs learn: they
        stay near what edited ones are pulled to (distillation).
    places_weight : float
        Of telling where each place of the feature map comes from (`ectype_training.places`).
    koleo_weight : float
        Of the entropy term that spreads descriptors.
    follow : float
        How far a photograph's target moves towards what the student says of it, each time it is seen: 0 for targets
        that stay, below 1 (distillation).
    frozen_blocks : int
        The stem and so many blocks keep the weights they start with; -1 freezes nothing.
    frozen_norms : bool
        Normalisations keep the means and variances they start with, which a trained model's are good enough for: steps
        are faster, and learn from the network that is exported.
    averaging : float
        Of how many of the last steps, about, the weights are averaged: the model is their moving mean, whose decay a
        step is one minus one over this; 0 takes the last weights as they are.
    looks : int
        How often each edited photograph is learnt from: as it is, then mirrored, at times with quarter turns. A look
        costs less than an edit (after Hoffer et al., "Augment your batch", CVPR 2020).
    unedited : float
        Share of the photographs that are shown as they are.
    most_edits : int
        The longest chain of edits.
    often : list of str
        Kinds of edits drawn three times as often as others; five times, if named twice.
    leave_out : list of str
        Kinds of edits never drawn.
    bfloat16 : bool
        Multiply in bfloat16; only where the processor does it natively is that faster.
    workers : int
        Processes that edit photographs.
    seed : int
    """

    steps: int
    minutes: float | None = None
    objective: Literal["distillation", "contrast", "imitation"] = "distillation"
    model: str = ""
    start: str = "imagenet"
    size: int = 160
    scales: int = 1
    dimension: int = 256
    batch: int = 48
    rate: float = 1e-3
    warm_up: int = 200
    weight_decay: float = 0.02
    temperature: float = 0.05
    cosine_weight: float = 5.0
    separation_weight: float = 0.5
    anchor_weight: float = 0.0
    places_weight: float = 0.0
    koleo_weight: float = 1.0
    follow: float = 0.0
    frozen_blocks: int = -1
    frozen_norms: bool = False
    averaging: float = 0.0
    looks: int = 1
    unedited: float = 0.1
    most_edits: int = 4
    often: tuple[str, ...] = field(default=())
    leave_out: tuple[str, ...] = field(default=())
    bfloat16: bool = False
    workers: int = 1
    seed: int = 2021

    def __post_init__(self) -> None:
        for name in ("steps", "size", "scales", "batch", "looks", "most_edits"):
            if getattr(self, name) < 1:
                raise InvalidDataError(f"{name} must be at least 1, not {getattr(self, name)}")
        for name in ("rate", "temperature"):
            if not getattr(self, name) > 0:
                raise InvalidDataError(f"{name} must be above 0, not {getattr(self, name)}")
        if not 1 <= self.dimension <= MOST_DIMENSIONS:
            raise InvalidDataError(f"dimension must be from 1 to {MOST_DIMENSIONS}, not {self.dimension}")
        if self.size % 2 ** (self.scales - 1):
            raise InvalidDataError(f"a size of {self.size} can't be halved for {self.scales} scales")
        if not (self.averaging == 0 or self.averaging >= 1):
            raise InvalidDataError(f"averaging is over at least one step, or 0 for none, not {self.averaging}")
        if not 0 <= self.follow < 1:
            raise InvalidDataError(f"follow is a share from 0 to less than 1, not {self.follow}")
        for name in ("anchor_weight", "places_weight"):
            if getattr(self, name) < 0:
                raise InvalidDataError(f"{name} is at least 0, not {getattr(self, name)}")
        if self.anchor_weight and self.follow:
            raise InvalidDataError("targets that follow edited photographs anchor nothing; leave out one of the two")
        if self.places_weight and self.objective != "distillation":
            raise InvalidDataError("places are told from what the start says of them: for the objective 'distillation'")
        if not 0 <= self.unedited <= 1:
            raise InvalidDataError(f"unedited is a share from 0 to 1, not {self.unedited}")
        if self.objective not in ("distillation", "contrast", "imitation"):
            raise InvalidDataError(
                f"objective must be 'distillation', 'contrast' or 'imitation', not {self.objective!r}"
            )
        if bool(self.model) != (self.objective == "imitation"):
            raise InvalidDataError("a model to imitate belongs to the objective 'imitation', and to it alone")
        for name in (*self.often, *self.leave_out):
            if name not in KINDS:
                raise InvalidDataError(f"there is no kind of edit named {name!r}; there are {', '.join(KINDS)}")

    def to_dict(self) -> dict[str, Any]:
        """As plain values; lists where the attributes are tuples."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any], origin: str) -> Config:
        """Check plain values.

        Raises
        ------
        InvalidDataError
            A key is unknown or missing, or a value is of the wrong type or out of range; `origin` is named.
        """
        fields = {entry.name: entry for entry in dataclasses.fields(cls)}
        unknown = sorted(set(values) - set(fields))
        if unknown:
            raise InvalidDataError(
                f"{origin}: unknown setting {', '.join(unknown)}; the settings are {', '.join(fields)}"
            )
        if "steps" not in values:
            raise InvalidDataError(f"{origin}: the setting 'steps' is missing")
        try:
            return cls(**{name: _typed(name, str(fields[name].type), value) for name, value in values.items()})
        except InvalidDataError as error:
            raise InvalidDataError(f"{origin}: {error}") from error


def read_config(path: Path) -> Config:
    """Read a configuration.

    Raises
    ------
    InvalidDataError
        The file can't be read, or is no configuration.
    """
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidDataError(f"{path}: not a readable TOML file: {error}") from error
    return Config.from_dict(values, str(path))


def _typed(name: str, annotation: str, value: Any) -> Any:
    """The value as the attribute's type; only an int may stand for a float, a list for a tuple."""
    if annotation.startswith("tuple"):
        if isinstance(value, list | tuple) and all(isinstance(entry, str) for entry in value):
            return tuple(value)
        raise InvalidDataError(f"{name} must be a list of texts, not {value!r}")
    if "float" in annotation:
        if (value is None and "None" in annotation) or (isinstance(value, int | float) and not isinstance(value, bool)):
            return value if value is None else float(value)
        raise InvalidDataError(f"{name} must be a number, not {value!r}")
    wanted: type = bool if annotation == "bool" else int if annotation == "int" else str
    if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
        words = {bool: "true or false", int: "a whole number", str: "a text"}
        raise InvalidDataError(f"{name} must be {words[wanted]}, not {value!r}")
    return value
