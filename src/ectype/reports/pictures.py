"""Small pictures that a report can carry inside itself."""

from __future__ import annotations

import base64
import io

from PIL import Image

from ectype.errors import EctypeError
from ectype.images import ImageItem, decode_image
from ectype.reports.canvas import Pixels

SIDE = 220
"""Of a thumbnail, in pixels."""

_QUALITIES = (75, 60, 45, 30, 15)


def pixels_of(item: ImageItem | None) -> Pixels | None:
    """A picture, large enough for a thumbnail; None if it can't be read any more."""
    if item is None:
        return None
    try:
        return decode_image(item.read(), at_least=SIDE)
    except EctypeError:
        return None


def thumbnail(item: ImageItem | None) -> str | None:
    """A data URI of the image, at most 220 pixels a side; None if it can't be read any more."""
    return thumbnail_of(pixels_of(item))


def thumbnail_of(pixels: Pixels | None) -> str | None:
    """A data URI of a picture, at most 220 pixels a side, if there is one."""
    if pixels is None:
        return None
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE))
    return data_uri(_encoded(image, "JPEG", 75), "image/jpeg")


def within(pixels: Pixels, most_bytes: int) -> str:
    """A data URI of a picture at its own size, in the best quality that keeps within `most_bytes` if one does."""
    image = Image.fromarray(pixels)
    for quality in _QUALITIES:
        content = _encoded(image, "WEBP", quality)
        if len(content) <= most_bytes:
            break
    return data_uri(content, "image/webp")


def data_uri(content: bytes, kind: str) -> str:
    """Bytes as a URI that a page can show without a file beside it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def _encoded(image: Image.Image, kind: str, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, quality=quality)
    return buffer.getvalue()
