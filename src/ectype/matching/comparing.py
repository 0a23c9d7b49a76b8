"""Two images, without a collection."""

from __future__ import annotations

import hashlib

import numpy as np

from ectype.collection.prepared_codec import pack, unpack
from ectype.descriptors import DescriptorModel, load_model
from ectype.errors import InvalidDataError
from ectype.images import DEFAULT_LIMITS, ImageItem, ImageLimits, decode_image, displayed_size
from ectype.matching.calibration import Calibration, bundled_calibration
from ectype.matching.scoring import ReferencePicture, describe_query, is_blank, score_pair
from ectype.types import Match
from ectype.verification import SIDE, prepare


def compare_images(
    query: ImageItem,
    reference: ImageItem,
    model: DescriptorModel | None = None,
    *,
    calibration: Calibration | None = None,
    limits: ImageLimits = DEFAULT_LIMITS,
) -> Match:
    """Say how probable it is that one image, or a part of it, was copied from another.

    The score is the one that `Matcher` gives the pair in a collection.

    Parameters
    ----------
    query, reference : ImageItem
    model : DescriptorModel, optional
        The bundled one by default.
    calibration : Calibration, optional
        The bundled one by default.
    limits : ImageLimits

    Raises
    ------
    UnreadableImageError
        One of the two can't be read.
    InvalidDataError
        The query shows nothing: one colour, or hardly more.
    ModelMismatchError
        The calibration belongs to another model.
    """
    model = model or load_model()
    calibration = calibration or bundled_calibration()
    calibration.check_model(model.fingerprint)
    data, original_data = query.read(limits), reference.read(limits)
    pixels, original = (decode_image(one, limits=limits, at_least=SIDE) for one in (data, original_data))
    if is_blank(pixels):
        raise InvalidDataError(f"{query.location}: it shows nothing, one colour or hardly more, and can't be compared")
    small = decode_image(original_data, limits=limits, at_least=model.input_size)  # as a collection does, and rounds it
    vector = model.describe([small])[0].astype(np.float16).astype(np.float32)
    prepared = unpack(pack(prepare(original, "reference", displayed_size(original_data, original))))
    digest = hashlib.sha256(original_data).hexdigest()
    return score_pair(
        describe_query(query.id, data, pixels, model),
        ReferencePicture(reference.id, digest, vector, prepared),
        calibration,
    )
