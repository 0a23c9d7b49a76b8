"""From the bytes of an image file to RGB pixels, as a viewer would show them."""

from __future__ import annotations

import io
import threading
import warnings
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from ectype.errors import UnreadableImageError
from ectype.images import jpeg
from ectype.images.limits import DEFAULT_LIMITS, ImageLimits

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
"""What is read (JPEG with its multi-picture form MPO); anything else Pillow knows stays unopened."""

_WHITE = (255, 255, 255)
_opening = threading.Lock()  # Pillow's bomb limit and the warning filters are global


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


def read_bytes(path: str | Path, limits: ImageLimits = DEFAULT_LIMITS) -> bytes:
    """Read a file whole, if its size is within the limits.

    Raises
    ------
    UnreadableImageError
        It is missing, not permitted, empty or too large.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(limits.max_bytes + 1)
    except FileNotFoundError:
        raise UnreadableImageError("missing", "there is no such file") from None
    except IsADirectoryError:
        raise UnreadableImageError("not-an-image", "this is a folder, not a file") from None
    except PermissionError:
        raise UnreadableImageError("not-permitted", "no permission to read the file") from None
    except OSError as error:
        raise UnreadableImageError("damaged", f"the disk could not read it: {error.strerror}") from error
    check_size(len(data), limits)
    return data


def check_size(size: int, limits: ImageLimits) -> None:
    """Raise `UnreadableImageError` for a file of no bytes or of more than the limit."""
    if size == 0:
        raise UnreadableImageError("empty", "the file has no bytes")
    if size > limits.max_bytes:
        raise UnreadableImageError("too-many-bytes", f"the file is larger than the limit of {limits.max_bytes:,} bytes")


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
    """
    check_size(len(data), limits)
    if data.startswith(jpeg.SIGNATURE) and (header := jpeg.read_header(data)) is not None:
        _check_pixels(header.width, header.height, limits)
        pixels = jpeg.decode(data, header, at_least)
        if pixels is not None:
            return pixels
    return _decode_with_pillow(data, limits, at_least)


def _check_pixels(width: int, height: int, limits: ImageLimits) -> None:
    if width * height > limits.max_pixels:
        raise UnreadableImageError(
            "too-many-pixels", f"{width} x {height} pixels are more than the limit of {limits.max_pixels:,}"
        )


def _decode_with_pillow(data: bytes, limits: ImageLimits, at_least: int | None) -> NDArray[np.uint8]:
    image = _open(data, limits)
    _check_pixels(*image.size, limits)
    if at_least is not None and image.format in ("JPEG", "MPO"):
        image.draft(None, (at_least, at_least))
    try:
        image.load()
        return np.asarray(_to_rgb(ImageOps.exif_transpose(image)))
    except MemoryError:
        raise UnreadableImageError("too-many-pixels", "there is not enough memory to decode it") from None
    except Exception as error:  # decoders raise whatever their format makes them raise
        code = "truncated" if "truncated" in str(error).lower() else "damaged"
        raise UnreadableImageError(code, f"{image.format} data can't be decoded: {error}") from error


def _open(data: bytes, limits: ImageLimits) -> Image.Image:
    _register_formats()
    with _opening, warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, limits.max_pixels
        try:
            return Image.open(io.BytesIO(data), formats=FORMATS)
        except (Image.DecompressionBombWarning, Image.DecompressionBombError):
            raise UnreadableImageError(
                "too-many-pixels", f"its header states more pixels than the limit of {limits.max_pixels:,}"
            ) from None
        except UnidentifiedImageError:
            raise UnreadableImageError(*_why_unidentified(data)) from None
        except Exception as error:
            raise UnreadableImageError("damaged", f"its header can't be read: {error}") from error
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _why_unidentified(data: bytes) -> tuple[str, str]:
    if looks_like_image(data):
        return "damaged", "it begins like an image, but its header can't be read"
    return "not-an-image", f"its content is none of {', '.join(FORMATS)}"


def looks_like_image(start: bytes) -> bool:
    """Whether a file that begins with `start` (32 bytes are enough) has the signature of a format that is read."""
    return (
        start.startswith((jpeg.SIGNATURE, b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*"))
        or (start.startswith(b"BM") and start[6:10] == bytes(4))
        or (start.startswith(b"RIFF") and start[8:12] == b"WEBP")
        or (start[4:8] == b"ftyp" and start[8:12] in (b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1"))
    )


@cache
def _register_formats() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        return _scale_to_8_bits(image)
    if image.mode == "LAB":
        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, *profiles, outputMode="RGB") or image.convert("RGB")
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, _WHITE), layer).convert("RGB")
    return image.convert("RGB")


def _scale_to_8_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, 32 bits or floating point: scaled by the range its type can hold, never clipped."""
    grey = np.asarray(image).astype(np.float64)
    finite = grey[np.isfinite(grey)]
    low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    if image.mode.startswith("I;16") or (image.mode == "I" and low >= 0 and high <= 65535):
        low, high = 0.0, 65535.0
    elif image.mode == "F" and low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scaled = np.nan_to_num((grey - low) * (255 / max(high - low, 1e-12)), nan=0.0, posinf=255.0, neginf=0.0)
    return Image.fromarray(np.clip(np.rint(scaled), 0, 255).astype(np.uint8)).convert("RGB")
