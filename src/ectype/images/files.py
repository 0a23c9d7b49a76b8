"""The bytes of image files, within limits, and what their first bytes tell."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ectype.errors import UnreadableImageError
from ectype.images import jpeg
from ectype.images.limits import DEFAULT_LIMITS, ImageLimits

_HEIF_BRANDS = frozenset(b"avif avis heic heix heim heis hevc hevx hevm hevs mif1 msf1".split())
_SIGNATURES = (jpeg.SIGNATURE, b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def read_bytes(path: str | Path, limits: ImageLimits = DEFAULT_LIMITS, span: tuple[int, int] | None = None) -> bytes:
    """Read a file, if its size is within the limits.

    Parameters
    ----------
    path : str or Path
    limits : ImageLimits
    span : (int, int), optional
        Offset and size of the part to read, in an archive; the whole file without it.

    Raises
    ------
    UnreadableImageError
        It is missing, not permitted, no regular file, empty, too large, or ends before the span does.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for ever
            raise UnreadableImageError("not-an-image", "this is a folder, a pipe or a device, not a file")
        with open(path, "rb") as file:
            offset, size = span or (0, os.fstat(file.fileno()).st_size)
            check_size(size, limits)
            file.seek(offset)
            data = file.read(size)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: no file can have such a name
        raise UnreadableImageError("missing", "there is no such file") from None
    except PermissionError:
        raise UnreadableImageError("not-permitted", "no permission to read the file") from None
    except OSError as error:
        raise UnreadableImageError("damaged", f"the file can't be read: {error.strerror}") from error
    if len(data) < size:
        raise UnreadableImageError("truncated", f"the file ends {size - len(data):,} bytes too early")
    return data


def check_size(size: int, limits: ImageLimits) -> None:
    """Raise `UnreadableImageError` for a file of no bytes or of more than the limit."""
    if size == 0:
        raise UnreadableImageError("empty", "the file has no bytes")
    if size > limits.max_bytes:
        raise UnreadableImageError(
            "too-many-bytes",
            f"{size:,} bytes are more than the limit; to read it, raise max-bytes ({limits.max_bytes:,})",
        )


def looks_like_image(start: bytes) -> bool:
    """Whether a file that begins with `start` (32 bytes are enough) has the signature of a format that is read."""
    return (
        start.startswith(_SIGNATURES)
        or (start.startswith(b"BM") and start[6:10] == bytes(4))
        or (start.startswith(b"RIFF") and start[8:12] == b"WEBP")
        or (start[4:8] == b"ftyp" and start[8:12] in _HEIF_BRANDS)
    )
