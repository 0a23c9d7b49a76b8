from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from ectype.errors import InvalidDataError, UsageError
from ectype.images import ImageItem, decode_image, list_images
from ectype.transformations.materials import drawn_picture
from ectype_training.pack import MIB, Packing, pack

Draw = Callable[..., list[ImageItem]]


def test_shards_hold_every_photograph_once_under_its_id_and_keep_to_their_size(drawn: Draw, tmp_path: Path) -> None:
    items = drawn(12)
    limit = 0.02
    shards = pack(items, tmp_path / "shards", Packing(shard_mib=limit))
    assert len(shards) > 2
    assert all(path.stat().st_size <= limit * MIB + 10240 for path in shards)  # tar's last record
    assert [item.id for item in list_images(shards, ids="path")] == [item.id for item in items]


def test_large_photographs_are_shrunk_and_small_ones_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, size in (("large", (600, 300)), ("medium", (100, 80)), ("small", (100, 20))):
        Image.fromarray(drawn_picture(1, size)).save(folder / f"{name}.png")
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    shards = pack(list_images([folder], ids="path"), tmp_path / "shards", Packing(longest=240))
    sizes = {item.id: decode_image(item.read()).shape for item in list_images(shards, ids="path")}
    assert sizes == {"large": (120, 240, 3), "medium": (80, 100, 3)}


def test_shards_that_are_there_are_kept(drawn: Draw, tmp_path: Path) -> None:
    (path,) = pack(drawn(2), tmp_path / "shards", Packing())
    before = path.read_bytes()
    with pytest.raises(UsageError, match="has shards"):
        pack(drawn(3), tmp_path / "shards", Packing())
    assert path.read_bytes() == before


def test_nothing_to_pack_is_an_error(drawn: Draw, tmp_path: Path) -> None:
    with pytest.raises(InvalidDataError, match="nothing to pack"):
        pack(drawn(2), tmp_path / "shards", Packing(longest=400, smallest=300))


@pytest.mark.parametrize("bad", [{"quality": 0}, {"longest": 10}, {"shard_mib": 0}])
def test_a_packing_that_cannot_be_is_refused(bad: dict[str, int]) -> None:
    with pytest.raises(UsageError):
        Packing(**bad)
