"""The score of a pair, from its two pictures and fixed parameters alone."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ectype.descriptors import DescriptorModel
from ectype.evidence import Evidence
from ectype.images import displayed_size
from ectype.indexes.scoring import exact_scores
from ectype.matching.calibration import Calibration
from ectype.matching.views import views_of
from ectype.types import Match
from ectype.verification import Prepared, Verifier, prepare

_LEAST_CONTRAST = 3.0  # brightness levels, as standard deviation


@dataclass(frozen=True, slots=True, eq=False)
class QueryPicture:
    """What a query is compared by.

    Attributes
    ----------
    id : str
    sha256 : str
        Of the file's bytes, in hexadecimal.
    views : ndarray of float32, shape (v, d)
        Descriptors, the whole picture's first.
    verifier : Verifier
        Of its local features.
    """

    id: str
    sha256: str
    views: NDArray[np.float32]
    verifier: Verifier


@dataclass(frozen=True, slots=True, eq=False)
class ReferencePicture:
    """What a reference is compared by.

    Attributes
    ----------
    id, sha256 : str
    vector : ndarray of float32, shape (d,)
    prepared : Prepared or str
        Its local features, or in a sentence why there are none.
    """

    id: str
    sha256: str
    vector: NDArray[np.float32]
    prepared: Prepared | str


def is_blank(pixels: NDArray[np.uint8]) -> bool:
    """Whether a picture (h, w, 3) shows nothing: one colour, or hardly more.

    It would be like any other such picture.
    """
    return bool(pixels.reshape(-1, 3).std(axis=0).max() < _LEAST_CONTRAST)


def describe_query(id: str, data: bytes, pixels: NDArray[np.uint8], model: DescriptorModel) -> QueryPicture:
    """Describe a query by its views and its local features.

    Parameters
    ----------
    id : str
    data : bytes
        Of the file.
    pixels : ndarray of uint8, shape (h, w, 3)
        Decoded from it, at least as large as `ectype.verification.prepare` wants them.
    model : DescriptorModel
    """
    prepared = prepare(pixels, "query", displayed_size(data, pixels))
    return QueryPicture(id, hashlib.sha256(data).hexdigest(), model.describe(views_of(pixels)), Verifier(prepared))


def score_pair(query: QueryPicture, reference: ReferencePicture, calibration: Calibration) -> Match:
    """How probable it is that the query, or a part of it, was copied from the reference."""
    count = len(query.views)
    similarities = exact_scores(query.views, reference.vector[None], np.arange(count), np.zeros(count, np.int64))
    unverified = reference.prepared if isinstance(reference.prepared, str) else None
    evidence = Evidence(
        float(similarities[0]),
        float(similarities.max()),
        calibration.background.level(query.views[0]),
        None if isinstance(reference.prepared, str) else query.verifier.verify(reference.prepared),
        unverified,
        query.sha256 == reference.sha256,
    )
    probability = calibration.probability(evidence)
    return Match(query.id, reference.id, probability, calibration.decide(probability, evidence), evidence)
