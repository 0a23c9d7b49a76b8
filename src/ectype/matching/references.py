"""Local features of references that the collection does not keep: computed from the files they were added from."""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict

from ectype.collection import Reference
from ectype.collection.prepared_codec import pack, unpack
from ectype.errors import UnreadableImageError
from ectype.images import ImageItem, ImageLimits, decode_image, displayed_size
from ectype.verification import SIDE, Prepared, prepare

MOST_IN_MEMORY = 4096
"""References whose features are remembered; about 60 kB each."""


class ReferenceFeatures:
    """Computes local features, and remembers the last used ones.

    Parameters
    ----------
    limits : ImageLimits
    """

    def __init__(self, limits: ImageLimits) -> None:
        self._limits = limits
        self._known: OrderedDict[int, Prepared | str] = OrderedDict()
        self._lock = threading.Lock()

    def of_file(self, reference: Reference) -> Prepared | str:
        """A reference's features, or in a sentence why there are none; may be called from several threads at once."""
        with self._lock:
            known = self._known.get(reference.row)
            if known is not None:
                self._known.move_to_end(reference.row)
                return known
        made = _computed(reference, self._limits)
        with self._lock:
            self._known[reference.row] = made
            if len(self._known) > MOST_IN_MEMORY:
                self._known.popitem(last=False)
        return made


def _computed(reference: Reference, limits: ImageLimits) -> Prepared | str:
    item = ImageItem.at(reference.id, reference.location)
    if item is None:
        return f"the reference's file is no longer at {reference.location}"
    try:
        data = item.read(limits)
        if hashlib.sha256(data).hexdigest() != reference.sha256:
            return f"the reference's file at {reference.location} has changed since it was added"
        pixels = decode_image(data, limits=limits, at_least=SIDE)
    except UnreadableImageError as error:
        return f"the reference's file at {reference.location} can't be read: {error}"
    prepared = prepare(pixels, "reference", displayed_size(data, pixels))
    return unpack(pack(prepared))  # rounded as a collection keeps them, so that scores are the same to the last bit
