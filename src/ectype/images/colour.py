"""From the colour modes of image formats to 8-bit RGB."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageCms

_WHITE = (255, 255, 255)


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert to RGB of 8 bits, transparency laid over white."""
    if image.mode.startswith("I") or image.mode == "F":
        return _scale_to_8_bits(image).convert("RGB")
    if image.mode == "LAB":
        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, *profiles, outputMode="RGB") or image.convert("RGB")
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, _WHITE), layer).convert("RGB")
    return image.convert("RGB")


def _scale_to_8_bits(image: Image.Image) -> Image.Image:
    """Grey of 16 bits, 32 bits or floating point to 8 bits, never clipped.

    The range is that of the values' type: 16 bits, or 0 to 1 for floating point. Where values lie outside of it, the
    range is their own, since no format says which one was meant.
    """
    grey = np.asarray(image, np.float32)
    finite = np.isfinite(grey)
    low, high = float(grey.min(where=finite, initial=np.inf)), float(grey.max(where=finite, initial=-np.inf))
    usual = 1.0 if image.mode == "F" else 65535.0
    if low >= 0 and high <= usual:
        low, high = 0.0, usual
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is clipped to white below
        scaled = np.nan_to_num((grey - low) * (255 / max(high - low, 1e-12)))
    scaled[grey == image.info.get("transparency")] = 255
    return Image.fromarray(np.rint(np.clip(scaled, 0, 255)).astype(np.uint8))
