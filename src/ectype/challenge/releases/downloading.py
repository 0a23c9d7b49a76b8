"""Getting one file of a release: continued after a break, checked, and tried again a limited number of times."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ectype.challenge.releases.listing import LISTING, MOST_BYTES_OF_A_LISTING, Release, ReleaseFile, parse_release
from ectype.challenge.releases.places import BLOCK, ConnectionLostError, Place
from ectype.errors import DownloadError
from ectype.storage import storage_error
from ectype.types import OnProgress

if TYPE_CHECKING:
    from hashlib import _Hash

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before another try, of tries that brought nothing."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How a place is treated that breaks off.

    Attributes
    ----------
    pauses : tuple of float
        Seconds to wait before each further try; they start anew whenever a try has brought something.
    notify : callable
        Called with a sentence when something is done again.
    sleep : callable
        Waits for some seconds.
    """

    pauses: tuple[float, ...] = PAUSES
    notify: Callable[[str], None] = lambda sentence: None
    sleep: Callable[[float], None] = time.sleep


class _Tries:
    """Counts the tries that brought nothing new."""

    def __init__(self, manners: Manners) -> None:
        self._manners, self._vain = manners, 0

    def failed(self, error: ConnectionLostError, *, brought_something: bool) -> None:
        """Wait before another try, or raise when there have been enough."""
        self._vain = 0 if brought_something else self._vain + 1
        if self._vain > len(self._manners.pauses):
            raise DownloadError(
                f"{error}; {self._vain} tries in a row have brought nothing. "
                "What has come is kept: run the same command again to go on"
            ) from error
        seconds = self._manners.pauses[max(self._vain - 1, 0)] if self._manners.pauses else 0.0
        self._manners.notify(f"{error}; trying again in {seconds:g} s")
        self._manners.sleep(seconds)


def read_release(place: Place, expect: str | None = None, manners: Manners | None = None) -> Release:
    """Read the ``release.json`` of a place.

    Parameters
    ----------
    place : Place
    expect : str, optional
        The SHA-256 that the host announced.
    manners : Manners, optional

    Raises
    ------
    ChallengeError
        It is no listing of a release.
    DownloadError
        There is none, it can't be read, or it is not the expected one.
    """
    tries = _Tries(manners or Manners())
    while True:
        try:
            content = _read_listing(place)
            break
        except ConnectionLostError as error:
            tries.failed(error, brought_something=False)
    found = hashlib.sha256(content).hexdigest()
    if expect is not None and found != expect.lower():
        raise DownloadError(f"{place.address}: its {LISTING} has the SHA-256 {found}, not {expect}; ask the host")
    return parse_release(content, f"{place.address.rstrip('/')}/{LISTING}")


def _read_listing(place: Place) -> bytes:
    content = bytearray()
    with closing(place.read(LISTING).blocks) as blocks:
        for block in blocks:
            content += block
            if len(content) > MOST_BYTES_OF_A_LISTING:
                raise DownloadError(f"{place.address}: its {LISTING} is too large to be one")
    return bytes(content)


class Download:
    """One file on its way. What has come lies beside its final path with the ending ``.part``.

    Parameters
    ----------
    place : Place
    file : ReleaseFile
    path : Path
        Where it is to stand once it is whole; its folder must be there.
    tick : callable
        Called with the number of bytes that have come since the last call, those that were there before included.
    manners : Manners
    """

    def __init__(self, place: Place, file: ReleaseFile, path: Path, tick: OnProgress, manners: Manners) -> None:
        self._place, self._file, self._path, self._tick, self._manners = place, file, path, tick, manners
        self._part = path.with_name(f"{path.name}.part")
        self._most = 0  # bytes that were there at one time, whether or not some had to be thrown away

    def run(self) -> None:
        """Get the file, or the rest of it, and give it its name when its digest is right.

        Raises
        ------
        DownloadError
            It can't be read, is not the one that is listed, or too many tries in a row brought nothing.
        StorageError
            The disk refused.
        """
        tries = _Tries(self._manners)
        wrong = 0
        while True:
            before = self._most
            try:
                digest = self._go_on()
            except ConnectionLostError as error:
                tries.failed(error, brought_something=self._most > before)
                continue
            except OSError as error:
                raise storage_error(self._part, error) from error
            if digest == self._file.sha256:
                os.replace(self._part, self._path)
                return
            # A part that was there before may have been of another file; what has come in one piece can't.
            self._part.unlink()
            wrong += 1
            if wrong == 2:
                raise DownloadError(
                    f"{self._place.address}: {self._file.name} is not the file that the release lists; tell the host"
                )
            self._manners.notify(f"{self._file.name}: another file came than the release lists; it is fetched anew")

    def _go_on(self) -> str:
        start = self._part.stat().st_size if self._part.exists() else 0
        if start > self._file.bytes:
            start = 0
        if start and start == self._file.bytes:
            return self._digest(start).hexdigest()
        stream = self._place.read(self._file.name, start)
        with closing(stream.blocks) as blocks:
            if stream.start != start:
                if stream.start:
                    raise DownloadError(f"{self._place.address}: sends other bytes of {self._file.name} than asked for")
                self._manners.notify(f"{self._file.name}: the server can't go on in the middle; it is fetched anew")
            digest, done = self._digest(stream.start), stream.start
            with open(self._part, "r+b" if done else "wb") as part:
                part.seek(done)
                for block in blocks:
                    done += len(block)
                    if done > self._file.bytes:
                        break
                    part.write(block)
                    digest.update(block)
                    self._count(done)
        if done < self._file.bytes:
            raise ConnectionLostError(f"{self._file.name}: broke off after {done:,} of {self._file.bytes:,} bytes")
        return "longer than listed" if done > self._file.bytes else digest.hexdigest()

    def _digest(self, size: int) -> _Hash:
        digest = hashlib.sha256()
        if size:
            with open(self._part, "rb") as part:
                while block := part.read(BLOCK):
                    digest.update(block)
            self._count(size)
        return digest

    def _count(self, done: int) -> None:
        self._tick(max(0, done - self._most))
        self._most = max(self._most, done)
