"""The fast path for JPEG: a look at the header, then a decoder that scales down while it decodes.

libjpeg-turbo through simplejpeg decodes about twice as fast as Pillow, but knows nothing of EXIF, so the orientation
is read here from the file's own segments.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIGNATURE = b"\xff\xd8\xff"
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # start-of-frame markers: ITU-T T.81, table B.1
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_ORIENTATION = 0x0112


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What a JPEG says of itself: width and height in stored pixels, channels, EXIF orientation (1 to 8)."""

    width: int
    height: int
    channels: int
    orientation: int


def read_header(data: bytes) -> JpegHeader | None:
    """Read the segments up to the frame header; None if `data` isn't a JPEG that states its size."""
    position, orientation = 2, 1
    while position + 4 <= len(data):
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # a fill byte
            position += 1
            continue
        if marker in _WITHOUT_LENGTH:
            position += 2
            continue
        (length,) = struct.unpack_from(">H", data, position + 2)
        body = data[position + 4 : position + 2 + length]
        if marker in _FRAMES:
            if len(body) < 6:
                return None
            height, width, channels = struct.unpack_from(">HHB", body, 1)
            return JpegHeader(width, height, channels, orientation)
        if marker == 0xE1 and body.startswith(b"Exif\0\0"):
            orientation = _exif_orientation(body)
        if marker == 0xDA or length < 2:
            return None
        position += 2 + length
    return None


def _exif_orientation(segment: bytes) -> int:
    exif = Image.Exif()
    try:
        exif.load(segment)
        value = exif.get(_ORIENTATION, 1)
    except Exception:  # a damaged EXIF block says nothing; the pixels are still good
        return 1
    return value if value in range(1, 9) else 1


_TURNS = {
    1: lambda pixels: pixels,
    2: lambda pixels: pixels[:, ::-1],
    3: lambda pixels: pixels[::-1, ::-1],
    4: lambda pixels: pixels[::-1],
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: pixels[::-1].swapaxes(0, 1),
    7: lambda pixels: pixels[::-1, ::-1].swapaxes(0, 1),
    8: lambda pixels: pixels[:, ::-1].swapaxes(0, 1),
}


def orient(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Turn stored pixels (h, w, 3) the way an EXIF orientation of 1 to 8 says they are displayed."""
    return np.ascontiguousarray(_TURNS[orientation](pixels))


def decode(data: bytes, header: JpegHeader, at_least: int | None) -> NDArray[np.uint8] | None:
    """Decode a JPEG with known header to RGB as displayed; None where the careful path should decide.

    Parameters
    ----------
    data : bytes
    header : JpegHeader
    at_least : int or None
        The decoder may scale the picture down as long as both sides keep this many pixels.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3), or None
        None for anything unusual: CMYK, damaged data, a warning of the decoder.
    """
    import simplejpeg

    if header.channels not in (1, 3):
        return None
    side = 0 if at_least is None else at_least
    try:
        pixels = simplejpeg.decode_jpeg(data, "RGB", min_height=side, min_width=side, strict=True)
    except ValueError:
        return None
    return orient(pixels, header.orientation)
