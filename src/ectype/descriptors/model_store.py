"""The models that a user has added: a folder for each, under its name."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ectype.descriptors.card import CARD_SUFFIX, read_card
from ectype.descriptors.installed import InstalledModel, bundled_model, installed_model
from ectype.descriptors.model import MODEL_FILE, OnnxModel
from ectype.errors import ModelError, StorageError, UsageError
from ectype.storage import flush_to_disk, storage_error

FOLDER_VARIABLE = "ECTYPE_MODELS"
_LOCK = ".lock"
_UNFINISHED = ".unfinished"
_REPLACED = ".replaced"
"""Where a model waits for its successor to take its place, so that one of the two is there at any moment."""
_USABLE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True, slots=True)
class Addition:
    """What adding a model did.

    Attributes
    ----------
    model : InstalledModel
    change : {"added", "replaced", "unchanged"}
    """

    model: InstalledModel
    change: Literal["added", "replaced", "unchanged"]


def user_folder() -> Path:
    """Where the user's models lie: ``$ECTYPE_MODELS``, or ``ectype/models`` where the user keeps programs' data.

    Raises
    ------
    StorageError
        No variable names a place, and the user has no home.
    """
    if chosen := os.environ.get(FOLDER_VARIABLE):
        return Path(chosen)
    data = Path(os.environ.get("XDG_DATA_HOME", ""))
    if not data.is_absolute():  # the XDG specification has such a value ignored
        try:
            data = Path.home() / ".local" / "share"
        except RuntimeError as error:
            raise StorageError(f"models have no place: {error} Name a folder in ${FOLDER_VARIABLE}") from error
    return data / "ectype" / "models"


class ModelStore:
    """Models by name, in a folder.

    Each is a folder of its own with ``model.onnx`` and ``model.json``. It appears, and is exchanged, whole: a process
    that is killed leaves the store as it was before or after.

    Parameters
    ----------
    folder : str or Path, optional
        Need not exist. By default ``$ECTYPE_MODELS``, or ``ectype/models`` in the user's data folder.

    Raises
    ------
    StorageError
        No folder is given, and the user has no home.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = user_folder() if folder is None else Path(folder)

    def names(self) -> list[str]:
        """The names of all models, in alphabetical order.

        Raises
        ------
        StorageError
            The folder can't be read.
        """
        return sorted({*_folders_in(self.folder), *_folders_in(self.folder / _REPLACED)})

    def find(self, name: str) -> InstalledModel:
        """The model of this name.

        Raises
        ------
        ModelError
            There is none, or it is damaged: a file is missing, or the card is unusable.
        StorageError
            The folder can't be read.
        """
        self._refuse_unknown(name)
        folder = self.folder / name
        if not folder.is_dir():  # the moment between two steps of an exchange, or it was killed there
            folder = self.folder / _REPLACED / name
        try:
            return installed_model(folder / MODEL_FILE)
        except ModelError as error:
            raise ModelError(f"{error}; `ectype models remove {name}` takes the damaged model away") from None

    def add(self, file: str | Path, card: str | Path | None = None, *, replace: bool = False) -> Addition:
        """Copy an ONNX file and its card into the store, after trying them out.

        Parameters
        ----------
        file : str or Path
        card : str or Path, optional
            By default beside the file: ``name.json`` for ``name.onnx``.
        replace : bool
            Whether it takes the place of another model of its name.

        Returns
        -------
        Addition
            ``unchanged`` where a model of this name and fingerprint is there already.

        Raises
        ------
        ModelError
            A file is missing, is none that a runtime can run, does not fit its card, or the name is unusable or taken.
        StorageError
            The disk refuses, or another process is changing the store.
        """
        file = Path(file)
        if not file.is_file():
            raise ModelError(f"{file}: there is no such model file")
        card_file = file.with_suffix(CARD_SUFFIX) if card is None else Path(card)
        model = OnnxModel(file, read_card(card_file))
        _check_name(model.name, card_file)
        taken = model.name in self.names()
        if taken and not replace:
            there = self.find(model.name)
            same = there.card.fingerprint == model.fingerprint
            if same and there.is_sound():
                return Addition(there, "unchanged")
            replace = same  # one with a damaged file is mended
        with self.receiving(model.name, replace=replace) as folder:
            model.save(folder)
        return Addition(self.find(model.name), "replaced" if taken else "added")

    def remove(self, name: str) -> None:
        """Delete a model. Collections that were made with it have a copy and are not touched.

        Raises
        ------
        UsageError
            It is the bundled model.
        ModelError
            There is no such model.
        StorageError
            The disk refuses, or another process is changing the store.
        """
        if name == bundled_model().name:
            raise UsageError(f"{name} is the model that comes with Ectype; only models that were added can be removed")
        self._refuse_unknown(name)
        with self._alone() as unfinished:
            self._refuse_unknown(name)
            os.rename(self.folder / name, unfinished / name)  # so that no half of it is ever seen
            flush_to_disk(self.folder)

    @contextmanager
    def receiving(self, name: str, *, replace: bool = False) -> Iterator[Path]:
        """Give an empty folder for ``model.onnx`` and ``model.json``; on success it becomes the model `name`.

        The folder above it is a place for files that are needed meanwhile; it is deleted in the end.

        Raises
        ------
        ModelError
            The name is taken, or the file that was put there isn't the one of its card.
        StorageError
            The disk refuses, or another process is changing the store. The models are what they were before.
        """
        with self._alone() as unfinished:
            if name in self.names() and not replace:
                raise ModelError(
                    f"{self.folder}: there is another model {name!r}; give this one another name in its card, "
                    "or let it take the other's place with --replace (collections keep the model they were made with)"
                )
            folder = unfinished / name
            folder.mkdir()
            yield folder
            if not installed_model(folder / MODEL_FILE).is_sound():
                raise ModelError(f"{name}: the model file changed while it was stored; add it again")
            self._publish(folder)

    def _publish(self, folder: Path) -> None:
        for path in (*folder.iterdir(), folder):
            flush_to_disk(path)
        place = self.folder / folder.name
        if place.exists():
            replaced = self.folder / _REPLACED
            replaced.mkdir()
            os.rename(place, replaced / folder.name)
        os.rename(folder, place)
        flush_to_disk(self.folder)

    @contextmanager
    def _alone(self) -> Iterator[Path]:
        """Be the one process that changes the store; gives an empty folder that is deleted in the end."""
        unfinished = self.folder / _UNFINISHED
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with open(self.folder / _LOCK, "wb") as lock:
                _take(lock.fileno(), self.folder)
                self._tidy()
                unfinished.mkdir()
                try:
                    yield unfinished
                finally:
                    with suppress(OSError):  # else the next process that changes the store does it
                        self._tidy()
        except OSError as error:
            raise storage_error(self.folder, error) from error

    def _tidy(self) -> None:
        """Put back what its successor has not replaced; then delete what was not finished."""
        replaced, unfinished = self.folder / _REPLACED, self.folder / _UNFINISHED
        for name in _folders_in(replaced):
            if not (self.folder / name).exists():
                os.rename(replaced / name, self.folder / name)
        for remainder in (replaced, unfinished):
            if remainder.exists():
                shutil.rmtree(remainder)

    def _refuse_unknown(self, name: str) -> None:
        known = self.names()
        if name not in known:
            raise ModelError(f"{self.folder}: there is no model {name!r}; there are {', '.join(known) or 'none'}")


def _check_name(name: str, card_file: Path) -> None:
    if not _USABLE_NAME.fullmatch(name):
        raise ModelError(
            f"{card_file}: the name {name!r} can't be a folder's: change it to at most 100 letters, digits, '.', '_' "
            "and '-', of which the first is a letter or a digit"
        )
    if name == bundled_model().name:
        raise ModelError(f"{card_file}: {name!r} is the name of the model that comes with Ectype; choose another one")


def _folders_in(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(
            f"{folder}: can't be read ({error.strerror}); mend that, or name another folder in ${FOLDER_VARIABLE}"
        ) from error


def _take(lock: int, folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StorageError(f"{folder}: another process is changing the models; try again when it is done") from None
