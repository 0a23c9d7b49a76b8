"""Image files made by hand: ordinary ones, and those that no honest program writes."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterable, Sequence
from typing import Any

import pillow_heif
from PIL import Image

pillow_heif.register_heif_opener()

SIZE = (8, 6)


def flat(mode: str, colour: Any, size: tuple[int, int] = SIZE) -> Image.Image:
    return Image.new(mode, size, colour)


def encode(image: Image.Image, format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def frames(format: str, colours: Sequence[str], **options: Any) -> bytes:
    """One picture of a single colour after the other."""
    first, *rest = [flat("RGB", colour) for colour in colours]
    return encode(first, format, save_all=True, append_images=rest, **options)


def exif(orientation: int, *, tag: int = 0x0112, order: str = "<", field: str = "H") -> bytes:
    """An EXIF block of a single entry, whose value is a 16-bit (H) or 32-bit (I) number."""
    head = struct.pack(order + "2sHIH", b"II" if order == "<" else b"MM", 42, 8, 1)
    value = struct.pack(order + field, orientation).ljust(4, b"\0")
    return b"Exif\0\0" + head + struct.pack(order + "HHI", tag, {"H": 3, "I": 4}[field], 1) + value + bytes(4)


def cut(data: bytes, share: float) -> bytes:
    return data[: int(len(data) * share)]


def patch(data: bytes, before: bytes, offset: int, new: bytes) -> bytes:
    """Overwrite bytes that lie `offset` after the end of the first `before`."""
    start = data.index(before) + len(before) + offset
    return data[:start] + new + data[start + len(new) :]


def png(
    chunks: Iterable[tuple[bytes, bytes]] = (), *, size: tuple[int, int] = SIZE, depth: int = 8, kind: int = 0
) -> bytes:
    """A PNG of these chunks between its header and its end; `kind` is the colour type."""
    header = struct.pack(">IIBBBBB", *size, depth, kind, 0, 0, 0)
    body = b""
    for name, content in ((b"IHDR", header), *chunks, (b"IEND", b"")):
        body += struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    return b"\x89PNG\r\n\x1a\n" + body


def png_rows(pixel: bytes, size: tuple[int, int] = SIZE) -> tuple[bytes, bytes]:
    """The IDAT chunk of a picture whose pixels are all the same."""
    width, height = size
    return b"IDAT", zlib.compress((b"\0" + pixel * width) * height)


def compressed_zeros(count: int) -> bytes:
    """What zlib makes of `count` zeros, without the work: one compressed block again and again."""
    block = 2**20
    packer = zlib.compressobj(9, wbits=-15)
    repeated = packer.compress(bytes(block)) + packer.flush(zlib.Z_FULL_FLUSH)
    rest = packer.compress(bytes(count % block)) + packer.flush()
    return b"\x78\x9c" + repeated * (count // block) + rest + struct.pack(">I", count % 65521 << 16 | 1)


def tiff(tags: dict[int, Any], data: bytes = b"") -> bytes:
    """A little-endian TIFF of grey or colour with `data` as its only strip or tile; each tag has one value."""
    tags = {258: 8, 259: 1, 262: 1, 277: 1, **tags}
    is_tiled = 322 in tags
    start = 8 + 2 + 12 * (len(tags) + 2) + 4
    tags |= {324: start, 325: len(data)} if is_tiled else {273: start, 279: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, tags[tag]) for tag in sorted(tags))
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + bytes(4) + data


def with_frame(data: bytes, marker: int, precision: int, size: tuple[int, int] = SIZE) -> bytes:
    """A baseline JPEG whose frame header says something else."""
    start = data.index(b"\xff\xc0")
    frame = struct.pack(">BBHBHH", 0xFF, marker, 17, precision, size[1], size[0])
    return data[:start] + frame + data[start + len(frame) :]


def mutants(data: bytes, count: int, seed: str) -> list[bytes]:
    """Copies of a file with bytes flipped, set, put in or cut out, more of them towards its beginning."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        mutant = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            place = int(rng.random() ** 2 * len(mutant))
            match rng.randrange(5):
                case 0:
                    mutant[place] ^= 1 << rng.randrange(8)
                case 1:
                    mutant[place] = rng.choice((0, 127, 255))
                case 2:
                    mutant[place:place] = rng.randbytes(rng.randint(1, 8))
                case 3:
                    del mutant[place : place + rng.randint(1, 8)]
                case 4:
                    del mutant[max(place, 16) :]
            mutant = mutant or bytearray(b"\0")
        made.append(bytes(mutant))
    return made
