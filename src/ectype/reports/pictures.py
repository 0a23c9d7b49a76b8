"""Small pictures that a report can carry inside itself."""

from __future__ import annotations

import base64
import io

from PIL import Image

from ectype.errors import EctypeError
from ectype.images import ImageItem, decode_image

_SIDE = 220


def thumbnail(item: ImageItem | None) -> str | None:
    """A data URI of the image, at most 220 pixels a side; None if it can't be read any more."""
    if item is None:
        return None
    try:
        image = Image.fromarray(decode_image(item.read(), at_least=_SIDE))
    except EctypeError:
        return None
    image.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=75)
    return data_uri(buffer.getvalue(), "image/jpeg")


def data_uri(content: bytes, kind: str) -> str:
    """Bytes as a URI that a page can show without a file beside it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
