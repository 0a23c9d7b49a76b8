"""Reading images: finding them, and decoding them safely."""

from ectype.images.decoding import FORMATS, decode_image, displayed_size, read_image
from ectype.images.files import read_bytes
from ectype.images.limits import DEFAULT_LIMITS, ImageLimits
from ectype.images.sources import IMAGE_SUFFIXES, ImageItem, list_images

__all__ = [
    "DEFAULT_LIMITS",
    "FORMATS",
    "IMAGE_SUFFIXES",
    "ImageItem",
    "ImageLimits",
    "decode_image",
    "displayed_size",
    "list_images",
    "read_bytes",
    "read_image",
]
