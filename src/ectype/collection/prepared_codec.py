"""What verification needs of an image, as few bytes.

Places are rounded, far more finely than verification looks; all else comes back as it was. A photograph with 400
features takes 49 kB, and 39 of these are descriptors. zlib at its fastest saves a quarter, at its slowest hardly more.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from ectype.errors import InvalidDataError
from ectype.verification import LocalFeatures, Prepared
from ectype.verification.agreement import Thumbnail
from ectype.verification.features import WORDS

_VERSION = 1
_HEAD = struct.Struct("<BIIHBB")  # version; width and height; number of features; width and height of the thumbnail
_CHECKSUM = struct.Struct("<I")  # CRC-32 of all before it
_PLACE = np.dtype([("x", "<u2"), ("y", "<u2"), ("diameter", "<f2"), ("direction", "<u2")])
_STEPS = 2**16
_TURN = 2 * np.pi


def pack(prepared: Prepared) -> bytes:
    """Turn a prepared picture into bytes.

    Places are inside the picture. They are rounded to the nearest of 65,536 positions across it (0.008 pixels at most
    in a picture of 1,000), as many directions, and diameters to one part in 2,000.
    """
    features, small = prepared.features, prepared.thumbnail.pixels
    head = _HEAD.pack(_VERSION, *features.size, len(features), *small.shape[::-1])
    body = _pack_places(features).tobytes() + features.descriptors.tobytes() + small.tobytes()
    content = head + zlib.compress(body, 1)
    return content + _CHECKSUM.pack(zlib.crc32(content))


def unpack(content: bytes) -> Prepared:
    """Turn bytes from `pack` into a prepared picture.

    Raises
    ------
    InvalidDataError
        They are damaged, or of a later version of Ectype.
    """
    if len(content) < _HEAD.size + _CHECKSUM.size:
        raise InvalidDataError("cut short")
    if _CHECKSUM.pack(zlib.crc32(content[: -_CHECKSUM.size])) != content[-_CHECKSUM.size :]:
        raise InvalidDataError("their checksum is another")
    version, width, height, count, small_width, small_height = _HEAD.unpack_from(content)
    if version != _VERSION:
        raise InvalidDataError(f"of version {version}, where this version of Ectype reads {_VERSION}")
    sizes = count * _PLACE.itemsize, count * WORDS, small_width * small_height
    body = _decompress(content[_HEAD.size : -_CHECKSUM.size], sum(sizes))
    places = np.frombuffer(body, _PLACE, count)
    descriptors = np.frombuffer(body, np.uint8, sizes[1], sizes[0]).reshape(count, WORDS)
    pixels = np.frombuffer(body, np.uint8, sizes[2], sizes[0] + sizes[1]).reshape(small_height, small_width)
    size = width, height
    return Prepared(LocalFeatures(size, _unpack_places(places, size), descriptors), Thumbnail(size, pixels))


def _pack_places(features: LocalFeatures) -> NDArray[np.void]:
    width, height = features.size
    x, y, diameter, direction = features.places.T.astype(np.float64)
    packed = np.empty(len(features), _PLACE)
    packed["x"], packed["y"] = (
        np.clip(np.rint(values / side * (_STEPS - 1)), 0, _STEPS - 1) for values, side in ((x, width), (y, height))
    )
    packed["diameter"] = diameter / max(width, height)
    packed["direction"] = np.rint(direction / _TURN * _STEPS) % _STEPS
    return packed


def _unpack_places(packed: NDArray[np.void], size: tuple[int, int]) -> NDArray[np.float32]:
    places = np.empty((len(packed), 4), np.float32)
    places[:, 0], places[:, 1] = (
        packed[name].astype(np.float64) / (_STEPS - 1) * side for name, side in zip("xy", size, strict=True)
    )
    places[:, 2] = packed["diameter"].astype(np.float64) * max(size)
    places[:, 3] = packed["direction"].astype(np.float64) / _STEPS * _TURN
    return places


def _decompress(compressed: bytes, size: int) -> bytearray:
    """A bytearray, so that the arrays of it can be written to like those of a picture that was just prepared."""
    stream = zlib.decompressobj()
    try:
        body = bytearray(stream.decompress(compressed, size + 1))
    except zlib.error as error:
        raise InvalidDataError(f"not compressed as they should be: {error}") from error
    if len(body) != size or not stream.eof or stream.unused_data:
        raise InvalidDataError("of another length than they say")
    return body
