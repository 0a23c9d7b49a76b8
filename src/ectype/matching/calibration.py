"""From the evidence of a pair to the probability that it is a copy, and the decision."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ectype.errors import InvalidDataError, ModelMismatchError, StorageError
from ectype.evidence import Decision, Evidence
from ectype.matching.background import Background
from ectype.storage import replacing

CALIBRATION_FILE = "calibration.npz"
METHOD = "1"
"""Of views, local features and evidence; a calibration belongs to one. It grows when one of them changes."""

COPY_PRECISION, REVIEW_PRECISION = 0.99, 0.90

VERIFIED_TERMS = ("similarity", "view similarity", "mapping", "places", "agreement", "spread", "residual")
DESCRIPTOR_TERMS = VERIFIED_TERMS[:2]
_MOST_PLACES = 30  # more add nothing to certainty
_PROOF = 6  # places; fewer agree by chance in patterns
_LEAST_RESIDUAL = 1e-3  # no place is found more exactly


def terms(evidence: Evidence) -> NDArray[np.float64]:
    """What the logistic model weighs: `VERIFIED_TERMS`, or `DESCRIPTOR_TERMS` where local features are missing."""
    above = [evidence.similarity - evidence.background, evidence.view_similarity - evidence.background]
    if evidence.unverified is not None:
        return np.array(above)
    found = evidence.verification
    if found is None:
        return np.array([*above, *[0.0] * (len(VERIFIED_TERMS) - len(above))])
    places = np.log(min(found.places, _MOST_PLACES))
    residual = np.log(max(found.residual, _LEAST_RESIDUAL) / _LEAST_RESIDUAL)
    return np.array([*above, 1.0, places, found.agreement, found.spread, residual])


def _is_proven(evidence: Evidence) -> bool:
    found = evidence.verification
    return evidence.identical or (found is not None and found.places >= _PROOF)


@dataclass(frozen=True, slots=True)
class Logistic:
    """A logistic model: `weights`, one for each term, and `intercept`."""

    weights: tuple[float, ...]
    intercept: float

    def __post_init__(self) -> None:
        if not np.isfinite((*self.weights, self.intercept)).all():
            raise InvalidDataError(f"weights are finite numbers, not {self.weights} and {self.intercept}")

    def probability(self, values: NDArray[np.float64]) -> float:
        return float(1 / (1 + np.exp(-np.clip(self.intercept + values @ np.array(self.weights), -500, 500))))


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Scores from which a pair is decided on.

    Attributes
    ----------
    copy, review : float
        The smallest scores whose precision, at its lower 95% confidence bound, reaches the targets.
    copy_precision, review_precision : float
        The targets.
    """

    copy: float
    review: float
    copy_precision: float = COPY_PRECISION
    review_precision: float = REVIEW_PRECISION

    def __post_init__(self) -> None:
        if not 0 <= self.review <= self.copy <= 1:
            raise InvalidDataError(
                f"thresholds must be in order from 0 to 1, not review {self.review} and copy {self.copy}"
            )


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """How evidence becomes a score, for one model.

    Attributes
    ----------
    background : Background
        With the fingerprint of the model that all of this belongs to.
    verified, by_descriptor : Logistic
        For pairs whose local features were compared, and for those whose reference can't be read.
    thresholds : Thresholds
    fitted_on : mapping of str to int
        Counts of what it was fitted on: queries, copies, references, pairs.
    """

    background: Background
    verified: Logistic
    by_descriptor: Logistic
    thresholds: Thresholds
    fitted_on: Mapping[str, int]

    def __post_init__(self) -> None:
        for model, names in ((self.verified, VERIFIED_TERMS), (self.by_descriptor, DESCRIPTOR_TERMS)):
            if len(model.weights) != len(names):
                raise InvalidDataError(
                    f"a calibration weighs {', '.join(names)}: {len(model.weights)} weights are wrong"
                )

    @classmethod
    def unfitted(cls, background: Background) -> Calibration:
        """One that says 0.5 of everything, to gather evidence with."""
        nothing = Logistic((0.0,) * len(VERIFIED_TERMS), 0.0), Logistic((0.0,) * len(DESCRIPTOR_TERMS), 0.0)
        return cls(background, *nothing, Thresholds(1, 1), {})

    def probability(self, evidence: Evidence) -> float:
        """That the pair is a copy, from 0 to 1."""
        if evidence.identical:
            return 1.0
        model = self.verified if evidence.unverified is None else self.by_descriptor
        return model.probability(terms(evidence))

    def decide(self, probability: float, evidence: Evidence) -> Decision:
        """Whether to take a pair for a copy, show it to a person, or leave it.

        A pair is called a copy only if enough local features agree, or the files are identical: gradients, patterns
        and noise are as alike to a descriptor as copies are.
        """
        if probability >= self.thresholds.copy and _is_proven(evidence):
            return "copy"
        return "review" if probability >= self.thresholds.review else "different"

    def check_model(self, fingerprint: str) -> None:
        """Raise `ModelMismatchError` unless this calibration belongs to the model."""
        if self.background.fingerprint != fingerprint:
            raise ModelMismatchError(
                f"the calibration belongs to another model ({self.background.fingerprint[:12]}) than the descriptors "
                f"({fingerprint[:12]}); fit one for this model with `ectype calibrate`, or match by the descriptor "
                "alone (--fast)"
            )

    def save(self, path: Path) -> None:
        """Write it as one file.

        Raises
        ------
        StorageError
            The disk refused.
        """
        content = {
            "method": METHOD,
            "fingerprint": self.background.fingerprint,
            "verified": dataclasses.asdict(self.verified),
            "by_descriptor": dataclasses.asdict(self.by_descriptor),
            "thresholds": dataclasses.asdict(self.thresholds),
            "fitted_on": dict(self.fitted_on),
        }
        text = np.frombuffer(json.dumps(content).encode(), np.uint8)
        with replacing(path) as temporary, open(temporary, "wb") as file:
            np.savez_compressed(file, calibration=text, background=self.background.vectors.astype(np.float16))


def read_calibration(path: Path) -> Calibration:
    """Read what `Calibration.save` wrote.

    Raises
    ------
    InvalidDataError
        The file is no calibration, or a damaged one, or belongs to another way of matching.
    StorageError
        The disk refused.
    """
    try:
        data = path.read_bytes()  # NumPy would leave a damaged file open
    except OSError as error:
        raise StorageError(f"{path}: can't be read ({error.strerror}); check its path and permissions") from error
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            content, vectors = json.loads(file["calibration"].tobytes()), file["background"].astype(np.float32)
        method = content["method"]
    except Exception as error:  # NumPy and zipfile have many ways to fail on a damaged file
        raise InvalidDataError(
            f"{path}: not a readable calibration ({error!r}); fit one with `ectype calibrate`"
        ) from error
    if method != METHOD:
        raise InvalidDataError(
            f"{path}: was fitted for another way of matching ({method!r}, now {METHOD!r}); "
            "fit it again with `ectype calibrate`"
        )
    try:
        return Calibration(
            Background(vectors, str(content["fingerprint"])),
            _logistic(content["verified"]),
            _logistic(content["by_descriptor"]),
            Thresholds(**{name: float(value) for name, value in content["thresholds"].items()}),
            {str(name): int(count) for name, count in content["fitted_on"].items()},
        )
    except (InvalidDataError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidDataError(f"{path}: not a calibration: {error!r}; fit one with `ectype calibrate`") from error


def _logistic(content: Mapping[str, Any]) -> Logistic:
    return Logistic(tuple(float(weight) for weight in content["weights"]), float(content["intercept"]))


def bundled_calibration() -> Calibration:
    """That of the model that came with Ectype."""
    return read_calibration(Path(str(resources.files("ectype.matching") / "bundled" / CALIBRATION_FILE)))
