from __future__ import annotations

import os
import resource
import struct
import sys
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import draw_picture
from ectype.errors import UnreadableImageError
from ectype.images import ImageItem, ImageLimits, decode_image, read_image
from hostile import (
    SIZE,
    compressed_zeros,
    cut,
    encode,
    exif,
    flat,
    frames,
    mutants,
    patch,
    png,
    png_rows,
    tiff,
    with_frame,
)

PICTURE = draw_picture(1, (64, 48))
ORANGE, GREY, WHITE = (230, 120, 30), (77, 77, 77), (255, 255, 255)
JPEG = encode(flat("RGB", ORANGE), "JPEG")
PROGRESSIVE = encode(PICTURE, "JPEG", progressive=True)
PALETTE = flat("RGB", ORANGE).quantize(2)
HALF_ORANGE = (242, 188, 142)  # over white
CMYK_RED = (0, 255, 255, 0)
HUGE = (60_000, 60_000)
LAST_SCAN = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]
SEGMENT_WITH_AN_END = b"\xff\xe2\0\4\xff\xd9"


def float_tiff(values: list[float]) -> bytes:
    return encode(Image.fromarray(np.array([values], np.float32)), "TIFF")


# What is readable: name -> file, size, colour of every pixel (or None where it isn't of one colour)
READABLE: dict[str, tuple[Callable[[], bytes], tuple[int, int], tuple[int, int, int] | None]] = {
    # JPEG
    "JPEG": (lambda: JPEG, SIZE, ORANGE),
    "grey JPEG": (lambda: encode(flat("L", 77), "JPEG"), SIZE, GREY),
    "JPEG without subsampling": (lambda: encode(flat("RGB", ORANGE), "JPEG", subsampling=0), SIZE, ORANGE),
    "progressive JPEG": (lambda: PROGRESSIVE, (64, 48), None),
    "CMYK JPEG": (lambda: encode(flat("CMYK", CMYK_RED), "JPEG"), SIZE, (255, 0, 0)),
    "JPEG that stores RGB, with Adobe marker": (
        lambda: encode(flat("RGB", ORANGE), "JPEG", keep_rgb=True, quality=95),
        SIZE,
        ORANGE,
    ),
    "JPEG with restart markers": (lambda: encode(PICTURE, "JPEG", restart_marker_blocks=2), (64, 48), None),
    "arithmetic-coded JPEG": (lambda: with_frame(JPEG, 0xC9, 8), SIZE, None),
    "JPEG with trailing garbage": (lambda: JPEG + b"garbage" * 100, SIZE, ORANGE),
    "JPEG with garbage before its end": (lambda: JPEG[:-2] + b"garbage" + JPEG[-2:], SIZE, ORANGE),
    "JPEG with garbage between segments": (lambda: JPEG[:20] + b"garbage" + JPEG[20:], SIZE, ORANGE),
    "JPEG with fill bytes": (lambda: JPEG[:2] + b"\xff\xff\xff" + JPEG[2:], SIZE, ORANGE),
    "JPEG with damaged EXIF": (lambda: encode(flat("RGB", ORANGE), "JPEG", exif=exif(6)[:-10]), SIZE, ORANGE),
    "JPEG with EXIF that points nowhere": (
        lambda: encode(flat("RGB", ORANGE), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"),
        SIZE,
        ORANGE,
    ),
    "CMYK JPEG with damaged EXIF": (
        lambda: encode(flat("CMYK", CMYK_RED), "JPEG", exif=exif(6)[:-10]),
        SIZE,
        (255, 0, 0),
    ),
    "MPO": (lambda: frames("MPO", ["red", "blue"]), SIZE, (254, 0, 0)),
    "progressive JPEG before a film": (lambda: PROGRESSIVE + b"\xff\xda\0\2" * 50_000, (64, 48), None),
    # PNG
    "1-bit PNG": (lambda: encode(flat("1", 1), "PNG"), SIZE, WHITE),
    "grey PNG": (lambda: encode(flat("L", 77), "PNG"), SIZE, GREY),
    "grey PNG with alpha": (lambda: encode(flat("LA", (77, 0)), "PNG"), SIZE, WHITE),
    "grey PNG with a transparent value": (lambda: encode(flat("L", 77), "PNG", transparency=77), SIZE, WHITE),
    "palette PNG": (lambda: encode(PALETTE, "PNG"), SIZE, ORANGE),
    "palette PNG with a transparent index": (lambda: encode(PALETTE, "PNG", transparency=0), SIZE, WHITE),
    "palette PNG with alpha": (lambda: encode(PALETTE, "PNG", transparency=b"\x80\x80"), SIZE, HALF_ORANGE),
    "RGB PNG with a transparent colour": (
        lambda: encode(flat("RGB", ORANGE), "PNG", transparency=ORANGE),
        SIZE,
        WHITE,
    ),
    "RGBA PNG, half transparent": (lambda: encode(flat("RGBA", (*ORANGE, 128)), "PNG"), SIZE, HALF_ORANGE),
    "16-bit grey PNG": (lambda: encode(flat("I;16", 32768), "PNG"), SIZE, (128, 128, 128)),
    "16-bit grey PNG with a transparent value": (
        lambda: png([(b"tRNS", b"\x12\x34"), png_rows(b"\x12\x34")], depth=16),
        SIZE,
        WHITE,
    ),
    "16-bit grey PNG with alpha": (
        lambda: png([png_rows(b"\x80\0\x80\0")], depth=16, kind=4),
        SIZE,
        (191, 191, 191),
    ),
    "16-bit RGB PNG": (lambda: png([png_rows(b"\xe6\0\x78\0\x1e\0")], depth=16, kind=2), SIZE, ORANGE),
    "PNG without its end": (lambda: encode(flat("RGB", ORANGE), "PNG")[:-12], SIZE, ORANGE),
    "PNG with trailing garbage": (lambda: encode(flat("RGB", ORANGE), "PNG") + b"garbage", SIZE, ORANGE),
    "PNG that claims more rows than it has": (lambda: png([png_rows(b"\0")], size=(8, 600)), (8, 600), (0, 0, 0)),
    # TIFF
    "TIFF": (lambda: encode(flat("RGB", ORANGE), "TIFF"), SIZE, ORANGE),
    "16-bit TIFF": (lambda: encode(flat("I;16", 32768), "TIFF"), SIZE, (128, 128, 128)),
    "big-endian 16-bit TIFF": (lambda: encode(flat("I;16B", 32768), "TIFF"), SIZE, (128, 128, 128)),
    "32-bit TIFF of 16-bit values": (lambda: encode(flat("I", 32768), "TIFF"), SIZE, (128, 128, 128)),
    "32-bit TIFF of larger values": (
        lambda: encode(Image.fromarray(np.array([[0, 2**20]], np.int32)), "TIFF"),
        (2, 1),
        None,
    ),
    "float TIFF from 0 to 1": (lambda: encode(flat("F", 0.5), "TIFF"), SIZE, (128, 128, 128)),
    "float TIFF of any range": (lambda: float_tiff([-3e38, 3e38]), (2, 1), None),
    "float TIFF without a number": (lambda: float_tiff([np.nan, np.nan]), (2, 1), (0, 0, 0)),
    "float TIFF with infinity": (lambda: float_tiff([np.inf, np.inf]), (2, 1), WHITE),
    "TIFF of palette with alpha": (lambda: encode(flat("PA", (0, 0)), "TIFF"), SIZE, WHITE),
    "RGBA TIFF": (lambda: encode(flat("RGBA", (*ORANGE, 128)), "TIFF"), SIZE, HALF_ORANGE),
    "CMYK TIFF": (lambda: encode(flat("CMYK", CMYK_RED), "TIFF"), SIZE, (255, 0, 0)),
    "LAB TIFF": (lambda: encode(flat("LAB", (128, 128, 128)), "TIFF"), SIZE, (119, 119, 119)),
    "YCbCr TIFF": (lambda: encode(flat("RGB", ORANGE).convert("YCbCr"), "TIFF", compression="tiff_lzw"), SIZE, ORANGE),
    "fax TIFF": (lambda: encode(flat("1", 1), "TIFF", compression="group4"), SIZE, WHITE),
    "LZW TIFF": (lambda: encode(flat("RGB", ORANGE), "TIFF", compression="tiff_lzw"), SIZE, ORANGE),
    "JPEG in TIFF": (lambda: encode(flat("RGB", ORANGE), "TIFF", compression="jpeg"), SIZE, ORANGE),
    "BigTIFF": (lambda: encode(flat("RGB", ORANGE), "TIFF", big_tiff=True), SIZE, ORANGE),
    "TIFF of pages": (lambda: frames("TIFF", ["red", "blue"]), SIZE, (255, 0, 0)),
    "tiled TIFF": (
        lambda: tiff({256: 8, 257: 6, 259: 8, 322: 16, 323: 16}, zlib.compress(b"\x4d" * 256)),
        SIZE,
        GREY,
    ),
    "tiled TIFF with two widths of a tile": (
        lambda: tiff({256: 8, 257: 6, 322: 16, 323: 16}, b"\x4d" * 256).replace(
            struct.pack("<HHII", 322, 4, 1, 16), struct.pack("<HHIHH", 322, 3, 2, 16, 0)
        ),
        SIZE,
        GREY,
    ),
    # The others
    "GIF": (lambda: encode(PALETTE, "GIF"), SIZE, ORANGE),
    "GIF with a transparent index": (lambda: encode(PALETTE, "GIF", transparency=0), SIZE, WHITE),
    "animated GIF": (lambda: frames("GIF", ["red", "blue"]), SIZE, (255, 0, 0)),
    "animated PNG": (lambda: frames("PNG", ["red", "blue"]), SIZE, (255, 0, 0)),
    "animated WebP": (lambda: frames("WEBP", ["red", "blue"], lossless=True), SIZE, (255, 0, 0)),
    "animated AVIF": (lambda: frames("AVIF", ["red", "blue"]), SIZE, (255, 0, 0)),
    "HEIC of several pictures": (lambda: frames("HEIF", ["red", "blue"]), SIZE, (255, 0, 0)),
    "WebP": (lambda: encode(flat("RGB", ORANGE), "WEBP"), SIZE, ORANGE),
    "RGBA WebP": (lambda: encode(flat("RGBA", (*ORANGE, 128)), "WEBP", lossless=True), SIZE, HALF_ORANGE),
    "AVIF": (lambda: encode(flat("RGB", ORANGE), "AVIF"), SIZE, ORANGE),
    "RGBA AVIF": (lambda: encode(flat("RGBA", (*ORANGE, 128)), "AVIF"), SIZE, HALF_ORANGE),
    "HEIC": (lambda: encode(flat("RGB", ORANGE), "HEIF"), SIZE, ORANGE),
    "RGBA HEIC": (lambda: encode(flat("RGBA", (*ORANGE, 128)), "HEIF"), SIZE, HALF_ORANGE),
    "grey HEIC": (lambda: encode(flat("L", 77), "HEIF"), SIZE, GREY),
    "16-bit HEIC": (lambda: encode(flat("I;16", 32768), "HEIF"), SIZE, (128, 128, 128)),
    "BMP": (lambda: encode(flat("RGB", ORANGE), "BMP"), SIZE, ORANGE),
    "1-bit BMP": (lambda: encode(flat("1", 1), "BMP"), SIZE, WHITE),
    "palette BMP": (lambda: encode(PALETTE, "BMP"), SIZE, ORANGE),
    "BMP from top to bottom": (
        lambda: patch(encode(flat("RGB", ORANGE), "BMP"), b"BM", 20, struct.pack("<i", -6)),
        SIZE,
        ORANGE,
    ),
    # Shapes
    "PNG of a single pixel": (lambda: encode(flat("RGB", ORANGE, (1, 1)), "PNG"), (1, 1), ORANGE),
    "JPEG of a single pixel": (lambda: encode(flat("RGB", ORANGE, (1, 1)), "JPEG"), (1, 1), ORANGE),
    "tall JPEG": (lambda: encode(flat("RGB", ORANGE, (1, 20_000)), "JPEG"), (1, 20_000), ORANGE),
    "wide JPEG": (lambda: encode(flat("RGB", ORANGE, (20_000, 1)), "JPEG"), (20_000, 1), ORANGE),
    "tall PNG": (lambda: encode(flat("RGB", ORANGE, (1, 20_000)), "PNG"), (1, 20_000), ORANGE),
    "wide PNG": (lambda: encode(flat("RGB", ORANGE, (20_000, 1)), "PNG"), (20_000, 1), ORANGE),
}

# What is not: name -> file, code
UNREADABLE: dict[str, tuple[Callable[[], bytes], str]] = {
    "no bytes": (lambda: b"", "empty"),
    "a text": (lambda: b"A text that someone saved under the name of an image.\n" * 9, "not-an-image"),
    "zeros": (lambda: bytes(5000), "not-an-image"),
    # Cut short
    "JPEG cut in its data": (lambda: cut(encode(PICTURE, "JPEG"), 0.9), "truncated"),
    "JPEG cut in its header": (lambda: encode(PICTURE, "JPEG")[:100], "truncated"),
    "JPEG of a signature": (lambda: b"\xff\xd8\xff", "damaged"),
    "CMYK JPEG cut short": (lambda: cut(encode(PICTURE.convert("CMYK"), "JPEG"), 0.9), "truncated"),
    "PNG cut in its data": (lambda: cut(encode(PICTURE, "PNG"), 0.5), "truncated"),
    "PNG of a signature": (lambda: b"\x89PNG\r\n\x1a\n", "damaged"),
    "WebP cut short": (lambda: cut(encode(PICTURE, "WEBP"), 0.5), "damaged"),
    "GIF cut short": (lambda: cut(encode(PICTURE, "GIF"), 0.9), "truncated"),
    "BMP cut short": (lambda: cut(encode(PICTURE, "BMP"), 0.5), "truncated"),
    "TIFF cut short": (lambda: cut(encode(PICTURE, "TIFF"), 0.9), "truncated"),
    "LZW TIFF without its directory": (
        lambda: cut(encode(PICTURE, "TIFF", compression="tiff_lzw"), 0.5),
        "damaged",
    ),
    "AVIF cut in its data": (lambda: cut(encode(PICTURE, "AVIF"), 0.95), "truncated"),
    "AVIF cut in its header": (lambda: encode(PICTURE, "AVIF")[:60], "damaged"),
    "HEIC cut in its data": (lambda: cut(encode(PICTURE, "HEIF"), 0.95), "truncated"),
    "HEIC cut in its header": (lambda: encode(PICTURE, "HEIF")[:60], "damaged"),
    # Lies about the size
    "PNG that claims to be huge": (lambda: png([png_rows(b"\0")], size=HUGE), "too-many-pixels"),
    "JPEG that claims to be huge": (lambda: with_frame(JPEG, 0xC0, 8, HUGE), "too-many-pixels"),
    "CMYK JPEG that claims to be huge": (
        lambda: with_frame(encode(flat("CMYK", CMYK_RED), "JPEG"), 0xC0, 8, HUGE),
        "too-many-pixels",
    ),
    "BMP that claims to be huge": (
        lambda: patch(encode(PICTURE, "BMP"), b"BM", 16, struct.pack("<ii", *HUGE)),
        "too-many-pixels",
    ),
    "GIF that claims to be huge": (
        lambda: patch(encode(PALETTE, "GIF"), b"GIF8", 2, b"\xff\xff\xff\xff"),
        "too-many-pixels",
    ),
    "GIF whose first frame claims to be huge, to be cleared": (
        lambda: encode(PALETTE, "GIF")[:-1].split(b",")[0] + b"!\xf9\4\x08\0\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\0;",
        "too-many-pixels",
    ),
    "TIFF that claims to be huge": (lambda: tiff({256: 60_000, 257: 60_000}, bytes(48)), "too-many-pixels"),
    "compressed TIFF that claims to be huge": (
        lambda: tiff({256: 60_000, 257: 60_000, 259: 8}, zlib.compress(bytes(48))),
        "too-many-pixels",
    ),
    "small TIFF of a huge tile": (
        lambda: tiff({256: 8, 257: 6, 259: 8, 322: 32_000, 323: 32_000}, compressed_zeros(32_000 * 32_000)),
        "too-many-pixels",
    ),
    "WebP that claims to be huge": (
        lambda: patch(frames("WEBP", ["red", "blue"]), b"VP8X", 8, b"\xff\x3f\0" * 2),
        "too-many-pixels",
    ),
    "AVIF that claims to be huge": (
        lambda: patch(encode(PICTURE, "AVIF"), b"ispe", 4, struct.pack(">II", 16_000, 16_000)),
        "too-many-pixels",
    ),
    "BMP that claims more rows than it has": (
        lambda: patch(encode(PICTURE, "BMP"), b"BM", 20, struct.pack("<i", 600)),
        "truncated",
    ),
    "PNG of no pixels": (lambda: png([png_rows(b"", (0, 0))], size=(0, 0)), "damaged"),
    "JPEG of no rows": (lambda: with_frame(JPEG, 0xC0, 8, (8, 0)), "damaged"),
    # Bombs
    "PNG of 3,600,000,000 compressed pixels": (
        lambda: png([(b"IDAT", compressed_zeros(60_000 * 7501))], size=HUGE, depth=1),
        "too-many-pixels",
    ),
    "PNG with a bomb in a zTXt chunk": (
        lambda: png([(b"zTXt", b"k\0\0" + compressed_zeros(2**28)), png_rows(b"\0")]),
        "damaged",
    ),
    "PNG with a bomb in an iTXt chunk": (
        lambda: png([(b"iTXt", b"k\0\1\0\0\0" + compressed_zeros(2**28)), png_rows(b"\0")]),
        "damaged",
    ),
    "JPEG of 10,000 scans": (lambda: PROGRESSIVE[:-2] + LAST_SCAN * 10_000 + b"\xff\xd9", "damaged"),
    "JPEG of 10,000 scans behind what looks like its end": (
        lambda: PROGRESSIVE[:-2] + SEGMENT_WITH_AN_END + LAST_SCAN * 10_000 + b"\xff\xd9",
        "damaged",
    ),
    # Damaged
    "JPEG of 12 bits": (lambda: with_frame(JPEG, 0xC1, 12), "damaged"),
    "JPEG without a frame": (lambda: JPEG[:2] + LAST_SCAN + JPEG[-2:], "damaged"),
    "PNG with a wrong checksum": (lambda: patch(encode(PICTURE, "PNG"), b"IDAT", 20, b"\0\0\0\0"), "damaged"),
    "PNG without data": (lambda: png(), "damaged"),
    "GIF without a frame": (lambda: b"GIF89a\x08\0\x06\0\0\0\0;", "damaged"),
    "TIFF without a directory": (lambda: b"II*\0\xff\xff\xff\xff", "damaged"),
    # Formats that Pillow knows, but that are not read
    "ICO": (lambda: encode(flat("RGB", ORANGE, (16, 16)), "ICO"), "not-an-image"),
    "PPM": (lambda: encode(PICTURE, "PPM"), "not-an-image"),
    "TGA": (lambda: encode(PICTURE, "TGA"), "not-an-image"),
    "JPEG 2000": (lambda: b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(40), "not-an-image"),
    "PSD": (lambda: b"8BPS\0\1" + bytes(40), "not-an-image"),
    "PDF": (lambda: encode(PICTURE, "PDF"), "not-an-image"),
    "EPS": (lambda: encode(PICTURE, "EPS"), "not-an-image"),
    "SVG": (lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not-an-image"),
    "MP4": (lambda: b"\0\0\0\x18ftypisom" + bytes(40), "not-an-image"),
}


@pytest.mark.parametrize("name", READABLE)
def test_a_readable_file_reads_as_a_viewer_shows_it(name):
    build, (width, height), colour = READABLE[name]
    pixels = decode_image(build())
    assert pixels.dtype == np.uint8
    assert pixels.shape == (height, width, 3)
    if colour is not None:
        assert np.abs(pixels.astype(int) - colour).max() <= 3


def peak_memory() -> int:
    """The most bytes that this process has had at once."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


@pytest.mark.parametrize("name", UNREADABLE)
def test_an_unreadable_file_is_refused_with_its_code_in_no_time_and_memory(name):
    build, code = UNREADABLE[name]
    data = build()
    memory, start = peak_memory(), time.perf_counter()
    with pytest.raises(UnreadableImageError) as caught:
        decode_image(data)
    assert caught.value.code == code
    assert "\n" not in str(caught.value)
    assert peak_memory() - memory < 50 * 2**20
    assert time.perf_counter() - start < 5


def test_values_beyond_the_usual_range_are_scaled_by_their_own():
    for name in ("32-bit TIFF of larger values", "float TIFF of any range"):
        assert decode_image(READABLE[name][0]())[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize("claim", [(4, 4), (16_000, 16_000)])
def test_a_heic_that_lies_about_its_size_is_refused_or_read_in_its_true_size(claim):
    data = patch(encode(PICTURE, "HEIF"), b"ispe", 4, struct.pack(">II", *claim))
    with suppress(UnreadableImageError):
        assert decode_image(data).shape == (48, 64, 3)


@pytest.mark.parametrize("format", "JPEG PNG WEBP GIF TIFF BMP AVIF HEIF".split())
def test_no_mutant_of_a_file_raises_anything_else(format):
    data = encode(PICTURE, format, exif=exif(6)) if format not in ("GIF", "BMP") else encode(PICTURE, format)
    outcomes = set()
    for mutant in mutants(data, 40, format):
        try:
            pixels = decode_image(mutant, limits=ImageLimits(max_pixels=10**6))
        except UnreadableImageError as error:
            outcomes.add(error.code)
        else:
            assert pixels.dtype == np.uint8 and pixels.ndim == 3 and pixels.shape[2] == 3 and pixels.size
            outcomes.add("readable")
    assert len(outcomes) > 1


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "data",
    [
        encode(flat("RGB", ORANGE), "JPEG", exif=exif(6)[:-10]),
        encode(flat("CMYK", CMYK_RED), "JPEG", exif=exif(6)[:-10]),
        cut(encode(PICTURE, "TIFF", compression="tiff_lzw"), 0.5),
        png([(b"acTL", bytes(8)), png_rows(b"\0")]),
        with_frame(JPEG, 0xC0, 8, (11_000, 11_000)),
        png(size=(11_000, 11_000)),
    ],
    ids=["JPEG", "CMYK", "TIFF", "PNG", "large JPEG", "large PNG"],
)
def test_what_pillow_warns_of_is_not_printed(data, recwarn):
    with suppress(UnreadableImageError):
        decode_image(data)
    assert not recwarn.list


def test_the_content_decides_and_not_the_name(tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(encode(flat("RGB", ORANGE), "PNG"))
    assert (read_image(path) == ORANGE).all()


def make_pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def make_loop(path: Path) -> Path:
    path.symlink_to(path)
    return path


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: path, "missing"),
        (lambda path: path.parent, "not-an-image"),
        (lambda path: Path(__file__, path.name), "missing"),
        (lambda path: Path(f"{path}\0"), "missing"),
        (lambda path: path.with_name("x" * 300), "damaged"),
        (make_pipe, "not-an-image"),
        (make_loop, "damaged"),
    ],
    ids=["missing", "folder", "below a file", "impossible name", "name too long", "pipe", "link to itself"],
)
def test_what_is_no_file_is_refused(make, code, tmp_path):
    with pytest.raises(UnreadableImageError) as caught:
        ImageItem("x", str(make(tmp_path / "picture.jpg"))).read()
    assert caught.value.code == code


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="no file is forbidden to the superuser")
def test_a_file_without_permission_is_refused(tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(JPEG)
    path.chmod(0)
    with pytest.raises(UnreadableImageError) as caught:
        read_image(path)
    assert caught.value.code == "not-permitted"


def test_the_size_of_a_file_is_limited_exactly(tmp_path):
    path = tmp_path / "picture.jpg"
    path.write_bytes(JPEG)
    exact, less = ImageLimits(max_bytes=len(JPEG)), ImageLimits(max_bytes=len(JPEG) - 1)
    assert read_image(path, limits=exact).shape == decode_image(JPEG, limits=exact).shape == (6, 8, 3)
    for read in (
        lambda: read_image(path, limits=less),
        lambda: decode_image(JPEG, limits=less),
        lambda: ImageItem("x", "-", content=JPEG).read(less),
    ):
        with pytest.raises(UnreadableImageError, match="max-bytes") as caught:
            read()
        assert caught.value.code == "too-many-bytes"
