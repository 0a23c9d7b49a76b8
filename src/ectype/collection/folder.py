"""The folder of a collection: what lies in it, and how it is made."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime
from pathlib import Path

from ectype.collection.schema import COMPUTED, FORMAT, KEPT, create_database
from ectype.descriptors import DescriptorModel, StorableModel
from ectype.errors import CollectionError
from ectype.storage import flush_to_disk, storage_error

DATABASE, MODEL, INDEX = "collection.sqlite", "model", "index"
UNFINISHED = ".unfinished"
"""Holds what is being made, and so tells a creation that was cut short from a folder that is someone's."""


def make_folder(folder: Path, model: DescriptorModel, *, keep_features: bool) -> None:
    """Make an empty collection in a new or empty folder, or where that was cut short.

    Raises
    ------
    CollectionError
        The folder is a collection already, or holds other files.
    StorageError
        The disk refuses.
    """
    unfinished = folder / UNFINISHED
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _refuse_used(folder, {entry.name for entry in folder.iterdir()})
        for remainder in (folder / MODEL, unfinished):
            if remainder.exists():
                shutil.rmtree(remainder)
        unfinished.mkdir()
        if isinstance(model, StorableModel):
            (unfinished / MODEL).mkdir()
            model.save(unfinished / MODEL)
        create_database(unfinished / DATABASE, _first_meta(model, keep_features))
        for path in unfinished.rglob("*"):
            flush_to_disk(path)
        if (unfinished / MODEL).exists():
            os.replace(unfinished / MODEL, folder / MODEL)
        os.replace(unfinished / DATABASE, folder / DATABASE)  # last: it makes the folder a collection
        flush_to_disk(folder)
        unfinished.rmdir()
    except OSError as error:
        raise storage_error(folder, error) from error


def _refuse_used(folder: Path, names: set[str]) -> None:
    if DATABASE in names:
        raise CollectionError(f"{folder}: is a collection already; add to it, or choose another folder")
    if names and (UNFINISHED not in names or names - {UNFINISHED, MODEL}):
        raise CollectionError(f"{folder}: holds other files; a collection needs a folder of its own")


def _first_meta(model: DescriptorModel, keep_features: bool) -> dict[str, str]:
    return {
        "format": FORMAT,
        "generation": "0",
        "fingerprint": model.fingerprint,
        "dimension": str(model.dimension),
        "model": model.name,
        "features": KEPT if keep_features else COMPUTED,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
    }
