"""A dozen edits that people make to pictures before they post them again, for the demonstration."""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

Edit = Callable[[Image.Image, random.Random, Image.Image], Image.Image]
"""Takes an RGB image, a source of chance and another photograph; gives an edited RGB image."""


def _crop(image: Image.Image, rng: random.Random, other: Image.Image) -> Image.Image:
    width, height = (round(side * rng.uniform(0.5, 0.75)) for side in image.size)
    left, top = rng.randint(0, image.width - width), rng.randint(0, image.height - height)
    return image.crop((left, top, left + width, top + height))


def _tilt(image: Image.Image, rng: random.Random, other: Image.Image) -> Image.Image:
    return image.rotate(rng.choice((-1, 1)) * rng.uniform(6, 15), Image.Resampling.BICUBIC, fillcolor=(0, 0, 0))


def _quarter_turn(image: Image.Image, rng: random.Random, other: Image.Image) -> Image.Image:
    return image.transpose(rng.choice((Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270)))


def _mirror(image: Image.Image, rng: random.Random, other: Image.Image) -> Image.Image:
    return ImageOps.mirror(image)


def _grey(image: Image.Image, rng: random.Random, other: Image.Image) -> Image.Image:
    return ImageOps.grayscale(image).convert("RGB")


def _colours(image: Image.Image, rng: random.Random, other: Image.Image) -> Image.Image:
    image = ImageEnhance.Brightness(image).enhance(rng.choice((0.6, 1.5)))
    return ImageEnhance.Color(image).enhance(rng.uniform(1.5, 2.5))


def _blur(image: Image.Image, rng: random.Random, other: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(max(image.size) / rng.uniform(100, 150)))


def _coarse_jpeg(image: Image.Image, rng: random.Random, other: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=rng.randint(4, 10))
    return Image.open(buffer).convert("RGB")


def _noise(image: Image.Image, rng: random.Random, other: Image.Image) -> Image.Image:
    speckles = Image.frombytes("RGB", image.size, rng.randbytes(3 * image.width * image.height))
    return Image.blend(image, speckles, 0.25)


def _caption(image: Image.Image, rng: random.Random, other: Image.Image) -> Image.Image:
    image = image.copy()
    text = rng.choice(("when it is finally friday", "wait for it ...", "nobody: / me:"))
    font = ImageFont.load_default(max(12, image.width // 14))
    draw = ImageDraw.Draw(image)
    draw.text((image.width / 2, image.height * 0.8), text, "white", font, "mm", stroke_width=3, stroke_fill="black")
    return image


def _screenshot(image: Image.Image, rng: random.Random, other: Image.Image) -> Image.Image:
    bar = image.height // 5
    page = Image.new("RGB", (image.width + bar // 2, image.height + 2 * bar), "white")
    page.paste(image, (bar // 4, bar))
    draw = ImageDraw.Draw(page)
    draw.ellipse((bar // 4, bar // 4, bar * 3 // 4, bar * 3 // 4), fill=(60, 110, 220))
    draw.text((bar, bar // 2), "someone . 2 h", "black", ImageFont.load_default(max(10, bar // 4)), "lm")
    draw.text(
        (bar // 4, page.height - bar // 2), "1,204 likes", "black", ImageFont.load_default(max(10, bar // 4)), "lm"
    )
    return page


def _onto_photograph(image: Image.Image, rng: random.Random, other: Image.Image) -> Image.Image:
    background = other.resize((image.width * 4 // 3, image.height * 4 // 3))
    left, top = (rng.randint(0, side - part) for side, part in zip(background.size, image.size, strict=True))
    background.paste(image, (left, top))
    return background


EDITS: Mapping[str, Edit] = {
    "crop": _crop,
    "tilt": _tilt,
    "quarter turn": _quarter_turn,
    "mirror": _mirror,
    "grey": _grey,
    "brightness and colour": _colours,
    "blur": _blur,
    "coarse JPEG": _coarse_jpeg,
    "noise": _noise,
    "caption": _caption,
    "screenshot": _screenshot,
    "pasted onto a photograph": _onto_photograph,
}
