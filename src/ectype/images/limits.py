"""How much one image file may cost."""

from __future__ import annotations

from dataclasses import dataclass

from ectype.errors import UsageError


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Limits that are checked before a pixel is decoded.

    Attributes
    ----------
    max_bytes : int
        Size of the file.
    max_pixels : int
        Width times height, as the header states them. The default is Pillow's own line for decompression bombs.
    """

    max_bytes: int = 128 * 2**20
    max_pixels: int = 89_478_485

    def __post_init__(self) -> None:
        if self.max_bytes < 1 or self.max_pixels < 1:
            raise UsageError("image limits must be at least one byte and one pixel")


DEFAULT_LIMITS = ImageLimits()
