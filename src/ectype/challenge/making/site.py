"""A data set's folder while it is made: what it is made with, and which shards are finished.

All that is remembered lies in ``.making``, and goes when the data set is whole. ``made.json`` stays: it holds the
arguments, with the seed, and what was reported.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from ectype.challenge.digests import sha256_of_file
from ectype.challenge.making.photographs import Glance
from ectype.challenge.making.pictures import MadeImage
from ectype.challenge.making.report import MakeReport
from ectype.errors import ChallengeError, UsageError
from ectype.storage import flush_to_disk, storage_error, write_json

WORK, MADE, MANIFEST = ".making", "made.json", "manifest.csv"
_ARGUMENTS = "arguments.json"

Row = TypeVar("Row", Glance, MadeImage)

Arguments = Mapping[str, Any]
"""Everything that decides the bytes of a data set, as JSON values."""


class Site:
    """The folder of a data set that is being made.

    Parameters
    ----------
    root : Path
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.work = root / WORK

    def report(self, arguments: Arguments) -> MakeReport | None:
        """What was reported of the data set, if it is whole already.

        Raises
        ------
        ChallengeError
            It was made with other arguments.
        """
        if not (self.root / MANIFEST).is_file() or not (self.root / MADE).is_file():
            return None
        made = _read_json(self.root / MADE)
        try:
            known, report = dict(made["arguments"]), MakeReport.from_dict(made["report"])
        except (KeyError, TypeError, ValueError) as error:
            raise _damaged(self.root / MADE, error) from error
        self._compare(known, arguments, "was made")
        shutil.rmtree(self.work, ignore_errors=True)  # a killed run may have left some
        return report

    def begin(self, arguments: Arguments) -> None:
        """Make the folder, or take it up where a killed run left it.

        Raises
        ------
        UsageError
            It holds other files.
        ChallengeError
            It was begun with other arguments.
        StorageError
            The disk refused.
        """
        if (self.work / _ARGUMENTS).is_file():
            self._compare(_read_json(self.work / _ARGUMENTS), arguments, "was begun")
            return
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            if any(name != WORK for name in os.listdir(self.root)):
                raise UsageError(f"{self.root}: holds other files; choose a new folder")
            self.work.mkdir(exist_ok=True)
            write_json(self.work / _ARGUMENTS, arguments)
        except OSError as error:
            raise storage_error(self.root, error) from error

    def folder(self, name: str) -> Path:
        """A folder below the root, made if it is not there.

        Raises
        ------
        StorageError
            The disk refused.
        """
        path = self.root / name
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(path, error) from error
        return path

    def glances(self, shard: str) -> list[Glance] | None:
        """A finished shard of the first look at the photographs; None for one that is not finished."""
        return self._rows(shard, Glance)

    def images(self, shard: str) -> list[MadeImage] | None:
        """A finished shard of images; None for one that is not finished."""
        return self._rows(shard, MadeImage)

    def intact_images(self, shard: str, folder: Path) -> list[MadeImage] | None:
        """A finished shard of images, if all of its files are as they were written."""
        images = self.images(shard)
        if images is None:
            return None
        try:
            whole = all(sha256_of_file(folder / f"{image.id}.jpg") == image.sha256 for image in images)
        except ChallengeError:  # one is missing, after a power cut or by hand
            return None
        return images if whole else None

    def keep(self, shard: str, rows: Iterable[Glance | MadeImage]) -> None:
        """Remember that a shard is finished.

        Raises
        ------
        StorageError
            The disk refused.
        """
        write_json(self._shard(shard), [asdict(row) for row in rows])

    def finish(self, names: Iterable[str]) -> None:
        """Move files out of `WORK` to their places, in their order, and forget the rest.

        Raises
        ------
        StorageError
            The disk refused.
        """
        os.sync()  # the images must not be lost in a power cut that the manifest survives
        for name in names:
            target = self.root / name
            try:
                os.replace(self.prepared(name), target)
                flush_to_disk(target.parent)
            except OSError as error:
                raise storage_error(target, error) from error
        shutil.rmtree(self.work, ignore_errors=True)

    def prepared(self, name: str) -> Path:
        """Where a file is written that `finish` will move."""
        return self.work / name.replace("/", "-")

    def _shard(self, shard: str) -> Path:
        return self.work / f"{shard}.json"

    def _rows(self, shard: str, kind: type[Row]) -> list[Row] | None:
        path = self._shard(shard)
        if not path.is_file():
            return None
        try:
            return [kind(**row) for row in _read_json(path)]
        except TypeError as error:
            raise _damaged(path, error) from error

    def _compare(self, known: Arguments, given: Arguments, what: str) -> None:
        differ = sorted(name for name in {*known, *given} if known.get(name) != given.get(name))
        if differ:
            raise ChallengeError(
                f"{self.root}: {what} with other arguments ({', '.join(differ)}); give the same ones, or choose a new "
                "folder"
            )


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ChallengeError:
    return ChallengeError(f"{path}: can't be read: {error}; make the data set again, in a new folder")
