"""Files, lists and shards in the current folder, and what is found in them."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from conftest import draw_picture
from ectype.errors import UnreadableImageError
from ectype.images import ImageItem, ImageLimits, list_images
from hostile import encode

PNG = encode(draw_picture(1, (16, 12)), "PNG")
OTHER_PNG = encode(draw_picture(2, (16, 12)), "PNG")


def put(files: Mapping[str, bytes | str]) -> None:
    """Write files, with the folders they need."""
    for name, content in files.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(content if isinstance(content, bytes) else content.encode())


def put_tar(name: str, members: Mapping[str, bytes], **options) -> None:
    """Write a tar shard."""
    with tarfile.open(name, options.pop("mode", "w"), **options) as archive:
        for member, content in members.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def ids_of(*inputs: str | Path, **options) -> list[str]:
    return [item.id for item in list_images(inputs, **options)]


def locations_of(*inputs: str | Path, **options) -> list[str]:
    return [item.location for item in list_images(inputs, **options)]


def code_of(item: ImageItem, limits: ImageLimits | None = None) -> str:
    """Why an image can't be read."""
    with pytest.raises(UnreadableImageError) as caught:
        item.read(limits or ImageLimits())
    return caught.value.code
