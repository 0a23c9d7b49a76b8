"""Describing any number of images into one file, shard by shard, so that a killed run goes on where it was.

A finished shard lies in ``<output>.parts`` under a name that is the digest of all that decides its content: the model,
the limits, and each image's id, place, size and times of change. A new run takes up exactly the shards that it would
compute itself; nothing else has to be remembered.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ectype.descriptors.contract import DescriptorModel
from ectype.descriptors.extraction import DescribedImage, describe_items
from ectype.descriptors.files import write_blocks
from ectype.errors import UsageError
from ectype.images import DEFAULT_LIMITS, ImageItem, ImageLimits
from ectype.storage import flush_to_disk, replacing, storage_error
from ectype.types import OnProgress, SkippedImage

IMAGES_A_SHARD = 1024


def describe_to_file(
    items: Sequence[ImageItem],
    model: DescriptorModel,
    output: str | Path,
    *,
    limits: ImageLimits = DEFAULT_LIMITS,
    shard_size: int = IMAGES_A_SHARD,
    on_progress: OnProgress | None = None,
) -> list[SkippedImage]:
    """Describe images into an HDF5 file; see `ectype.descriptors.files` for its form.

    Parameters
    ----------
    items : sequence of ImageItem
    model : DescriptorModel
    output : str or Path
        Replaced in one step when everything is done.
    limits : ImageLimits
    shard_size : int
        Images that a killed run may have to do again.
    on_progress : callable, optional
        Called with the number of images finished since the last call, those of a former run included.

    Returns
    -------
    list of SkippedImage
        The images that could not be read, and so are not in the file.

    Raises
    ------
    UsageError
        `shard_size` is below one.
    StorageError
        The disk refused. Finished shards are kept.
    """
    if shard_size < 1:
        raise UsageError(f"a shard needs at least one image, not {shard_size}")
    output = Path(output)
    parts = output.with_name(output.name + ".parts")
    try:
        parts.mkdir(exist_ok=True)
    except OSError as error:
        raise storage_error(parts, error) from error
    shards = [items[start : start + shard_size] for start in range(0, len(items), shard_size)]
    files = [_finish_shard(shard, model, parts, limits, on_progress) for shard in shards]
    whole = parts / output.name  # so that a killed run leaves nothing outside of this folder
    skipped = _merge(files, whole, model)
    try:
        os.replace(whole, output)
        flush_to_disk(output.parent)
    except OSError as error:
        raise storage_error(output, error) from error
    shutil.rmtree(parts, ignore_errors=True)
    return skipped


def _finish_shard(
    shard: Sequence[ImageItem],
    model: DescriptorModel,
    parts: Path,
    limits: ImageLimits,
    on_progress: OnProgress | None,
) -> Path:
    path = parts / f"{_key(shard, model, limits)}.npz"
    if _is_whole(path):
        if on_progress is not None:
            on_progress(len(shard))
        return path
    done = list(describe_items(shard, model, limits=limits, on_progress=on_progress))
    described = [image for image in done if isinstance(image, DescribedImage)]
    report = {
        "ids": [image.item.id for image in described],
        "skipped": [asdict(row) for row in done if isinstance(row, SkippedImage)],
    }
    vectors = np.array([image.vector for image in described], np.float32).reshape(-1, model.dimension)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, vectors=vectors, report=np.frombuffer(json.dumps(report).encode(), np.uint8))
    return path


def _is_whole(path: Path) -> bool:
    """Whether a shard is there and undamaged, by the checksums that NumPy's archives carry."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except Exception:  # there are many ways to fail on a damaged archive
        return False


def _key(shard: Sequence[ImageItem], model: DescriptorModel, limits: ImageLimits) -> str:
    state = [model.fingerprint, limits.max_bytes, limits.max_pixels]
    for item in shard:
        if item.content is not None:
            change: object = hashlib.sha256(item.content).hexdigest()
        else:
            change = _size_and_times(item.file or item.location)
        state.append([item.id, item.location, item.span, change])
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:32]


def _size_and_times(path: str) -> list[int]:
    try:
        found = os.stat(path)
    except OSError:  # it will be a row of the skip report
        return []
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]  # the last tells of a permission that was mended


def _merge(files: Sequence[Path], output: Path, model: DescriptorModel) -> list[SkippedImage]:
    ids: list[str] = []
    skipped: list[SkippedImage] = []
    for file in files:
        with np.load(file, allow_pickle=False) as shard:
            report = json.loads(shard["report"].tobytes())
        ids += report["ids"]
        skipped += [SkippedImage(**row) for row in report["skipped"]]
    write_blocks(output, ids, map(_vectors, files), (len(ids), model.dimension), model.fingerprint)
    return skipped


def _vectors(file: Path) -> NDArray[np.float32]:
    with np.load(file, allow_pickle=False) as shard:
        return np.asarray(shard["vectors"], np.float32)
