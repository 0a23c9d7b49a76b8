"""Which calibration belongs to a collection."""

from __future__ import annotations

from ectype.collection import Collection
from ectype.errors import ModelMismatchError
from ectype.matching.calibration import CALIBRATION_FILE, Calibration, bundled_calibration, read_calibration


def find_calibration(collection: Collection) -> Calibration:
    """The calibration that lies in the collection's folder, or the one that came with Ectype.

    Raises
    ------
    ModelMismatchError
        There is none for the collection's model.
    InvalidDataError
        The collection's own is damaged.
    """
    own = collection.folder / CALIBRATION_FILE
    if own.exists():
        return read_calibration(own)
    bundled = bundled_calibration()
    if bundled.background.fingerprint != collection.fingerprint:
        raise ModelMismatchError(
            f"{collection.folder}: there is no calibration for its model, {collection.meta['model']} "
            f"({collection.fingerprint[:12]}); fit one with `ectype calibrate {collection.folder} --background "
            "IMAGES`, or match by the descriptor alone (--fast)"
        )
    return bundled
