from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from conftest import draw_picture
from ectype.errors import UnreadableImageError, UsageError
from ectype.images import ImageLimits, decode_image, jpeg
from hostile import encode, exif

UPRIGHT = draw_picture(3, (96, 64))
ORIENTATIONS = range(1, 9)
STORED = {  # how a camera held that way stores the picture
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
SHARP = {"quality": 95, "subsampling": 0}
FORMATS = {
    "JPEG": ("RGB", "JPEG", SHARP),
    "grey JPEG": ("L", "JPEG", {"quality": 95}),
    "CMYK JPEG": ("CMYK", "JPEG", SHARP),
    "MPO": ("RGB", "MPO", SHARP),
    "PNG": ("RGB", "PNG", {}),
    "palette PNG": ("P", "PNG", {}),
    "WebP": ("RGB", "WEBP", {"lossless": True}),
    "TIFF": ("RGB", "TIFF", {}),
    "LZW TIFF": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "AVIF": ("RGB", "AVIF", {"quality": 95, "subsampling": "4:4:4"}),
    "HEIC": ("RGB", "HEIF", {"quality": 95, "chroma": 444}),
}
LARGE = draw_picture(5, (400, 300)).resize((4000, 3000))


def stored(image: Image.Image, orientation: int) -> Image.Image:
    turn = STORED[orientation]
    return image if turn is None else image.transpose(turn)


def difference(pixels: np.ndarray, expected: Image.Image | np.ndarray) -> float:
    """Mean absolute difference, of pictures that must be of one size."""
    other = np.asarray(expected.convert("RGB") if isinstance(expected, Image.Image) else expected)
    assert pixels.shape == other.shape
    return float(np.abs(pixels.astype(int) - other).mean())


@pytest.fixture
def careful_path(monkeypatch):
    """JPEG goes through Pillow, as it does where the fast decoder has doubts."""
    monkeypatch.setattr(jpeg, "decode", lambda *_: None)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("name", FORMATS)
def test_every_orientation_gives_the_same_picture(name, orientation):
    mode, kind, options = FORMATS[name]
    upright = UPRIGHT.convert(mode)
    data = encode(stored(upright, orientation), kind, exif=exif(orientation), **options)
    assert difference(decode_image(data), upright) < 5


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_the_careful_path_turns_a_jpeg_in_the_same_way(orientation, careful_path):
    data = encode(stored(UPRIGHT, orientation), "JPEG", exif=exif(orientation), **SHARP)
    assert difference(decode_image(data), UPRIGHT) < 5


@pytest.mark.parametrize("kind", ["AVIF", "HEIF"])
def test_exif_turns_nothing_where_the_format_has_its_own_orientation(kind):
    other = exif(6, tag=0x0213)  # a tag that encoders leave alone; it becomes an orientation afterwards
    data = encode(UPRIGHT, kind, exif=other, quality=95)
    entry, claim = other[16:28], exif(6)[16:28]
    assert data.count(entry) == 1
    assert difference(decode_image(data.replace(entry, claim)), UPRIGHT) < 8


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("field", ["H", "I"])
@pytest.mark.parametrize(("stated", "meant"), [(1, 1), (6, 6), (8, 8), (0, 1), (9, 1), (65535, 1)])
def test_an_orientation_is_read_in_either_byte_order_and_length(order, field, stated, meant):
    assert jpeg.exif_orientation(exif(stated, order=order, field=field)) == meant


@pytest.mark.parametrize("length", range(len(exif(6))))
def test_an_exif_block_that_is_cut_short_turns_nothing_or_rightly(length):
    assert jpeg.exif_orientation(exif(6)[:length]) in (1, 6)


def test_of_two_exif_blocks_the_first_counts():
    data = encode(stored(UPRIGHT, 6), "JPEG", exif=exif(6), **SHARP)
    second = exif(3)
    start = data.index(b"\xff\xdb")
    both = data[:start] + b"\xff\xe1" + (len(second) + 2).to_bytes(2, "big") + second + data[start:]
    assert difference(decode_image(both), UPRIGHT) < 5


@pytest.mark.parametrize(
    ("mode", "options"),
    [
        ("RGB", {"subsampling": 0}),
        ("RGB", {"subsampling": 2}),
        ("RGB", {"progressive": True}),
        ("RGB", {"keep_rgb": True}),
        ("L", {}),
    ],
)
def test_both_paths_see_the_same(mode, options, monkeypatch):
    image = draw_picture(8, (301, 203)).convert(mode)
    data = encode(image, "JPEG", quality=90, **options)
    header = jpeg.read_header(data)
    assert header is not None
    fast = jpeg.decode(data, header, None)
    assert fast is not None
    monkeypatch.setattr(jpeg, "decode", lambda *_: None)
    assert difference(decode_image(data), fast) < 0.5


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("mode", ["RGB", "CMYK"])
def test_a_large_jpeg_is_scaled_down_while_it_is_decoded(mode, orientation):
    data = encode(stored(LARGE.convert(mode), orientation), "JPEG", exif=exif(orientation))
    pixels = decode_image(data, at_least=224)
    height, width, _ = pixels.shape
    assert 224 <= height <= 750 and 224 <= width <= 1000 and width > height
    assert difference(pixels, LARGE.resize((width, height), Image.Resampling.BOX)) < 8


def test_scaling_stops_before_either_side_is_too_short():
    wide = encode(LARGE.resize((2000, 230)), "JPEG")
    assert min(decode_image(wide, at_least=224).shape[:2]) >= 224
    small = encode(UPRIGHT, "JPEG")
    assert decode_image(small, at_least=224).shape == (64, 96, 3)


def test_only_jpeg_is_scaled_down():
    for kind in ("PNG", "WEBP", "AVIF", "HEIF"):
        assert decode_image(encode(UPRIGHT, kind), at_least=8).shape == (64, 96, 3)


@pytest.mark.parametrize("at_least", [0, -1])
def test_at_least_is_a_number_of_pixels(at_least):
    with pytest.raises(UsageError, match="at_least"):
        decode_image(encode(UPRIGHT, "JPEG"), at_least=at_least)


PIXELS = UPRIGHT.width * UPRIGHT.height
LIMITED = {
    "JPEG": encode(UPRIGHT, "JPEG"),
    "CMYK JPEG": encode(UPRIGHT.convert("CMYK"), "JPEG"),
    **{kind: encode(UPRIGHT, kind) for kind in ("PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")},
    "LZW TIFF": encode(UPRIGHT, "TIFF", compression="tiff_lzw"),
}


def code_of(data: bytes, limits: ImageLimits) -> str:
    try:
        decode_image(data, limits=limits)
    except UnreadableImageError as error:
        return error.code
    return "readable"


@pytest.mark.parametrize("pillows_own", [None, 1, PIXELS // 3, PIXELS - 1, 89_478_485])
@pytest.mark.parametrize("name", LIMITED)
def test_the_number_of_pixels_is_limited_exactly_whatever_pillow_allows(name, pillows_own, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", pillows_own)
    filters = list(warnings.filters)
    assert code_of(LIMITED[name], ImageLimits(max_pixels=PIXELS)) == "readable"
    assert code_of(LIMITED[name], ImageLimits(max_pixels=PIXELS - 1)) == "too-many-pixels"
    assert code_of(LIMITED[name], ImageLimits(max_pixels=1)) == "too-many-pixels"
    assert pillows_own == Image.MAX_IMAGE_PIXELS
    assert warnings.filters == filters


def test_threads_with_different_limits_do_not_disturb_each_other():
    before = Image.MAX_IMAGE_PIXELS, list(warnings.filters)
    allowed = {PIXELS: "readable", PIXELS - 1: "too-many-pixels", PIXELS * 50: "readable", 1: "too-many-pixels"}
    tasks = [(data, limit) for data in LIMITED.values() for limit in allowed] * 10
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda task: code_of(task[0], ImageLimits(max_pixels=task[1])), tasks))
    assert codes == [allowed[limit] for _, limit in tasks]
    assert (Image.MAX_IMAGE_PIXELS, list(warnings.filters)) == before


def test_limits_are_positive():
    for wrong in ({"max_bytes": 0}, {"max_pixels": 0}):
        with pytest.raises(UsageError, match="at least one"):
            ImageLimits(**wrong)
