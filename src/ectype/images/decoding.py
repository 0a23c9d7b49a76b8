"""From the bytes of an image file to RGB pixels, as a viewer would show them."""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from ectype.errors import UnreadableImageError, UsageError
from ectype.images import jpeg
from ectype.images.colour import to_rgb
from ectype.images.files import check_size, looks_like_image, read_bytes
from ectype.images.limits import DEFAULT_LIMITS, ImageLimits

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
"""What is read (JPEG with its multi-picture form MPO); anything else Pillow knows stays unopened."""

_LYING = 5  # from this EXIF orientation on, width and height are exchanged
_TILE_WIDTH, _TILE_LENGTH = 322, 323  # of the TIFF specification


def read_image(
    path: str | Path, *, limits: ImageLimits = DEFAULT_LIMITS, at_least: int | None = None
) -> NDArray[np.uint8]:
    """Read an image file as RGB pixels.

    Parameters
    ----------
    path : str or Path
    limits : ImageLimits
    at_least : int, optional
        See `decode_image`.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)

    Raises
    ------
    UnreadableImageError
        The file is missing, too large, damaged or no image of an allowed format.
    """
    return decode_image(read_bytes(path, limits), limits=limits, at_least=at_least)


def decode_image(
    data: bytes, *, limits: ImageLimits = DEFAULT_LIMITS, at_least: int | None = None
) -> NDArray[np.uint8]:
    """Decode the bytes of an image file to RGB as displayed.

    EXIF orientation is applied; transparency is laid over white; 16-bit, palette, grey and CMYK become 8-bit RGB;
    of several frames the first is taken. The format is read from the content, never from a name.

    Parameters
    ----------
    data : bytes
    limits : ImageLimits
    at_least : int, optional
        A JPEG may be scaled down while it is decoded, as long as both sides keep at least this many pixels.
        Without it every pixel is decoded.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3)

    Raises
    ------
    UnreadableImageError
    UsageError
        `at_least` is not positive.
    """
    if at_least is not None and at_least < 1:
        raise UsageError(f"at_least is a number of pixels from 1 on, not {at_least}")
    check_size(len(data), limits)
    if data.startswith(jpeg.SIGNATURE) and (header := jpeg.read_header(data)) is not None:
        _check_pixels((header.width, header.height), limits)
        if header.scans > jpeg.MAX_SCANS:
            raise UnreadableImageError("damaged", f"more than {jpeg.MAX_SCANS} scans; such a JPEG only wastes time")
        pixels = jpeg.decode(data, header, at_least)
        if pixels is not None:
            return pixels
    return _decode_with_pillow(data, limits, at_least)


def displayed_size(data: bytes, pixels: NDArray[np.uint8]) -> tuple[int, int]:
    """Width and height of a picture as displayed, also where `pixels` were scaled down while they were decoded.

    Parameters
    ----------
    data : bytes
        Of the file.
    pixels : ndarray of uint8, shape (h, w, 3)
        What `decode_image` made of it.
    """
    header = jpeg.read_header(data) if data.startswith(jpeg.SIGNATURE) else None
    if header is None:  # only JPEG is ever scaled
        return pixels.shape[1], pixels.shape[0]
    return (header.height, header.width) if header.orientation >= _LYING else (header.width, header.height)


def _check_pixels(size: tuple[int, int], limits: ImageLimits) -> None:
    width, height = size
    if width * height > limits.max_pixels:
        raise UnreadableImageError(
            "too-many-pixels",
            f"{width} x {height} pixels are more than the limit; to read it, raise max-pixels ({limits.max_pixels:,})",
        )


def _decode_with_pillow(data: bytes, limits: ImageLimits, at_least: int | None) -> NDArray[np.uint8]:
    _register_formats()
    with _settings.allowing(limits.max_pixels):
        try:
            image = Image.open(io.BytesIO(data), formats=FORMATS)
            tile = _tile_size(image)
        except Exception as error:
            raise _why_not_opened(data, error, limits) from error
        _check_pixels(image.size, limits)
        _check_pixels(tile, limits)
        try:
            if at_least is not None and image.format in ("JPEG", "MPO"):  # of HEIF, this would take the thumbnail
                image.draft(None, (at_least, at_least))
            image.load()  # which turns TIFF and HEIF: they state no orientation afterwards
            orientation = jpeg.exif_orientation(image.info.get("exif") or b"")
            return jpeg.orient(np.asarray(to_rgb(image)), orientation)
        except MemoryError:
            raise UnreadableImageError("too-many-pixels", "there is not enough memory to decode it") from None
        except Exception as error:  # decoders raise whatever their format makes them raise
            raise _failure(f"{image.format} data can't be decoded", error) from error


def _tile_size(image: Image.Image) -> tuple[int, int]:
    """Size of a TIFF's tiles, which may be larger than the picture; each is decoded whole."""
    tags = getattr(image, "tag_v2", {})
    return int(tags.get(_TILE_WIDTH, 1)), int(tags.get(_TILE_LENGTH, 1))


def _why_not_opened(data: bytes, error: Exception, limits: ImageLimits) -> UnreadableImageError:
    if isinstance(error, Image.DecompressionBombError):
        return UnreadableImageError(
            "too-many-pixels", f"its header states far more pixels than the limit of {limits.max_pixels:,}"
        )
    if not isinstance(error, UnidentifiedImageError):
        return _failure("its header is incomplete or damaged", error)
    if looks_like_image(data):
        return UnreadableImageError("damaged", "its header is incomplete, damaged or of an unusual kind")
    return UnreadableImageError("not-an-image", f"its content is none of {', '.join(FORMATS)}")


def _failure(what: str, error: Exception) -> UnreadableImageError:
    """The error of a decoder, in one line; the decoders have no types that tell a short file from a wrong one."""
    reason = " ".join(str(error).split()) or type(error).__name__
    is_short = any(word in reason.lower() for word in ("truncated", "end of file"))
    return UnreadableImageError("truncated" if is_short else "damaged", f"{what}: {reason}")


@cache
def _register_formats() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()


class _SharedSettings:
    """What all threads share and decoding has to change: Pillow's bomb limit and Python's warning filters.

    The first thread to decode sets them, the last one puts them back. In between the bomb limit is the highest that
    any of them asked for: it only keeps Pillow from reserving memory while it opens a file, each thread's own limit
    is checked afterwards. Pillow's warnings are left out since whatever is wrong with an image is in its error.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._threads = 0
        self._before = ExitStack()

    @contextmanager
    def allowing(self, pixels: int) -> Iterator[None]:
        with self._lock:
            if self._threads == 0:
                self._before.enter_context(warnings.catch_warnings())
                warnings.filterwarnings("ignore", module=r"PIL\.")
                self._before.callback(setattr, Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
            self._threads += 1
            Image.MAX_IMAGE_PIXELS = max(pixels, Image.MAX_IMAGE_PIXELS or 0)
        try:
            yield
        finally:
            with self._lock:
                self._threads -= 1
                if self._threads == 0:
                    self._before.close()


_settings = _SharedSettings()
