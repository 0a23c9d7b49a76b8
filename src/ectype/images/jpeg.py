"""The fast path for JPEG: a look at the header, then a decoder that scales down while it decodes.

libjpeg-turbo through simplejpeg decodes about twice as fast as Pillow, but knows nothing of EXIF, so the orientation
is read here from the file's own segments.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SIGNATURE = b"\xff\xd8\xff"
MAX_SCANS = 100
"""Encoders make about ten; each costs the time of a whole picture, but may be a few bytes long."""

# Marker codes: ITU-T T.81, table B.1
_MARKER = re.compile(rb"\xff[\x01-\xfe]")
_MARKER_AFTER_DATA = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")  # restart markers are part of a scan's data
_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
_PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
_END, _SCAN, _APP1 = 0xD9, 0xDA, 0xE1
_EXIF = b"Exif\0\0"
_ORIENTATION, _LONG = 0x0112, 4


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What a JPEG says of itself.

    Attributes
    ----------
    width, height : int
        In stored pixels.
    channels : int
    scans : int
        Passes over the picture; counted up to one more than are allowed.
    orientation : int
        The EXIF orientation, 1 to 8.
    """

    width: int
    height: int
    channels: int
    scans: int
    orientation: int


def read_header(data: bytes) -> JpegHeader | None:
    """Read the segments up to the first scan; None if `data` isn't a JPEG that states its size before."""
    frame, exif, position = None, b"", 2
    while found := _MARKER.search(data, position):
        marker, position = data[found.start() + 1], found.end()
        if marker in _WITHOUT_LENGTH:
            continue
        if marker == _END or position + 2 > len(data):
            return None
        (length,) = struct.unpack_from(">H", data, position)
        body = data[position + 2 : position + length]
        if marker == _APP1 and not exif and body.startswith(_EXIF):
            exif = body
        elif marker in _FRAMES and frame is None and len(body) >= 6:
            frame = marker, *struct.unpack_from(">HHB", body, 1)
        elif marker == _SCAN:
            if frame is None or not body:
                return None
            kind, height, width, channels = frame
            one_scan = kind not in _PROGRESSIVE and body[0] == channels  # the decoders refuse a second one
            scans = 1 if one_scan else _count_scans(data, found.start())
            return JpegHeader(width, height, channels, scans, exif_orientation(exif))
        position += length
    return None


def _count_scans(data: bytes, position: int) -> int:
    scans = 0
    while scans <= MAX_SCANS and (found := _MARKER_AFTER_DATA.search(data, position)):
        marker, position = data[found.start() + 1], found.end()
        if marker == _END:
            break
        scans += marker == _SCAN
        if marker not in _WITHOUT_LENGTH:
            position += int.from_bytes(data[position : position + 2], "big")
    return scans


def exif_orientation(exif: bytes) -> int:
    """The orientation (1 to 8) that an EXIF block states; 1 where it states none or is damaged."""
    tiff = exif.removeprefix(_EXIF)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(order + "I", tiff, 4)
        (entries,) = struct.unpack_from(order + "H", tiff, start)
        for position in range(start + 2, start + 2 + 12 * entries, 12):
            tag, kind = struct.unpack_from(order + "HH", tiff, position)
            if tag == _ORIENTATION:
                (value,) = struct.unpack_from(order + ("I" if kind == _LONG else "H"), tiff, position + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


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
    except (ValueError, MemoryError):
        return None
    return orient(pixels, header.orientation)
